"""Every shape has a good and a bad example; the bad one gives exactly the results its header names."""

from __future__ import annotations

import re
from pathlib import Path

import pyoxigraph as ox
import pytest

from guqin_kg import resources
from guqin_kg.query.terms import prefixes
from guqin_kg.validate import validate_additions
from guqin_kg.validate.additions import _inverse_paths, _inverses, _slice, _subjects, _touched
from guqin_kg.validate.fast import validate_store
from guqin_kg.validate.report import Result
from guqin_kg.validate.shacl import validate_with_pyshacl
from guqin_kg.validate.shapes import released_shapes

GQS = "https://w3id.org/guqin/shapes#"
EXAMPLES = sorted((resources.folder("ontology") / "examples").rglob("*.ttl"))
NAMES = [f"{p.parent.name}/{p.stem}" for p in EXAMPLES]
EXPECT = re.compile(r"^#\+ expect: (.+)$", re.M)


def triples_of(path: Path) -> list[ox.Triple]:
    return [q.triple for q in ox.parse(path.read_bytes(), format=ox.RdfFormat.TURTLE)]


def short(term: str | None) -> str:
    """A term or path as the headers write it."""
    if term is None:
        return "-"
    for name, space in sorted(prefixes().items(), key=lambda p: -len(p[1])):
        term = term.replace("<" + space, name + ":").replace(space, name + ":")
    return term.replace(">", "")


def row(result: Result) -> str:
    component = result.constraint.rpartition("#")[2]
    return " | ".join(
        [
            short(result.focus),
            short(result.path),
            f"sh:{component}",
            result.severity,
            "gqs:" + result.shape.removeprefix(GQS),
        ]
    )


def roots() -> dict[str, set[str]]:
    """Root shape → names of all shapes it uses."""
    graph = released_shapes()
    return {s.name.removeprefix(GQS): {x.name for x in graph.walk(s)} for s in graph.roots()}


def test_examples_are_there() -> None:
    assert len(EXAMPLES) > 100


def test_every_shape_has_a_good_and_a_bad_example() -> None:
    have: dict[str, set[str]] = {}
    for path in EXAMPLES:
        have.setdefault(path.parent.name, set()).add(path.stem.split("-")[0])
    assert have == {name: {"good", "bad"} for name in roots()}


def test_every_constraint_is_broken_by_some_bad_example() -> None:
    graph = released_shapes()
    broken = {line.split(" | ")[4] for path in EXAMPLES for line in EXPECT.findall(path.read_text(encoding="utf-8"))}
    named = {
        "gqs:" + s.name.removeprefix(GQS)
        for r in graph.roots()
        for s in graph.walk(r)
        if s.name.startswith(GQS) and s.constraints
    }
    assert named <= broken, sorted(named - broken)


def test_every_shape_says_in_both_languages_what_to_change() -> None:
    graph = released_shapes()
    for root in graph.roots():
        for shape in graph.walk(root):
            if not shape.name.startswith(GQS):
                continue
            for c in shape.constraints:
                said = graph.select(c)[1] if c.parameter == "sparql" else shape.messages
                assert sorted(m.language or "" for m in said) == ["en", "zh"], (shape.name, c.parameter)
        assert isinstance(root.node, ox.NamedNode)


def test_all_shapes_compile_for_the_fast_engine(base: ox.Store) -> None:
    assert validate_store(base).fallbacks == ()


@pytest.mark.parametrize("path", EXAMPLES, ids=NAMES)
def test_example_gives_the_results_it_names(path: Path, base: ox.Store) -> None:
    report = validate_additions(base, triples_of(path))
    expected = sorted(EXPECT.findall(path.read_text(encoding="utf-8")))
    assert sorted({row(r) for r in report.results}) == sorted(set(expected))
    own = roots()[path.parent.name]
    hit = any(r.shape in own for r in report.results)
    assert hit == path.stem.startswith("bad")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(roots()))
def test_pyshacl_says_the_same_on_the_examples_of_a_shape(name: str, base: ox.Store) -> None:
    """The shape of the folder, by both engines, on all its examples and what is around them."""
    shape = ox.NamedNode(GQS + name)
    for path in (p for p in EXAMPLES if p.parent.name == name):
        new = [ox.Quad(t.subject, t.predicate, t.object) for t in triples_of(path)]
        inverses = _inverses(base)
        touched = _touched(base, _subjects(new, inverses, base), inverses)
        assert touched is not None
        piece = _slice(base, new, touched, inverses, _inverse_paths(released_shapes()))
        piece.extend(base.quads_for_pattern(ox.NamedNode("https://w3id.org/guqin/resource/tone-fan"), None, None))
        slow = validate_with_pyshacl(piece, only=[shape], focus=touched)
        fast = validate_store(piece, focus=touched)
        own = roots()[name]
        assert {r.key for r in fast.results if r.shape in own} == {r.key for r in slow.results}
        assert {r.key: dict(r.messages) for r in slow.results} == {
            r.key: dict(r.messages) for r in fast.results if r.shape in own
        } or any(r.rule for r in slow.results)

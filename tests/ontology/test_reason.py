"""Both reasoners give the same answers on the shipped graph and name the same contradictions."""

from __future__ import annotations

import pytest

from guqin_kg import reason as owl

PREFIX = "@prefix gq: <https://w3id.org/guqin/ontology#> .\n@prefix gqr: <https://w3id.org/guqin/resource/> .\n"
GQ, GQR = owl.GQ, owl.GQR
GOOD = """
gqr:n-t1 a gq:CompoundNotation ; gq:form gq:simple ; gq:sound gq:stopped ; gq:leftFinger gqr:lf-da ;
    gq:marker gqr:position-wai ; gq:rightHandBasicNotation gqr:rhc-li .
gqr:n-t2 a gq:CompoundNotation ; gq:form gq:standalone ; gq:mark gqr:th-fenkai .
gqr:n-t3 a gq:CompoundNotation ; gq:form gq:simple ; gq:sound gq:open ; gq:tone gqr:tone-san .
gqr:n-t4 a gq:CompoundNotation ; gq:form gq:simple ; gq:tone gqr:tone-jiu ; gq:hasComponent gqr:orn-yin .
"""
BAD = {
    "two sounds": ("gq:form gq:simple ; gq:sound gq:open , gq:stopped", "two-values"),
    "a class that says otherwise": ("a gq:OpenNotation ; gq:sound gq:stopped", "two-values"),
    "simple and complex": ("a gq:SimpleNotation ; gq:form gq:complex", "two-values"),
    "open sign with a finger": ("gq:form gq:simple ; gq:tone gqr:tone-san ; gq:leftFinger gqr:lf-da", "disjoint"),
    "open sign with a position": ("gq:form gq:simple ; gq:tone gqr:tone-san ; gq:marker gqr:position-9", "disjoint"),
    "harmonic slid into": ("gq:sound gq:harmonic ; gq:fingerRefinedNotation gqr:orn-chuo", "disjoint"),
    "a technique that is a finger": ("gq:leftFinger gqr:rh-gou", "disjoint"),
}


@pytest.fixture(scope="module")
def released():
    return owl.released_triples()


@pytest.fixture(scope="module")
def bare(released):
    """The ontology without the curated notations: quicker for HermiT."""
    return [t for t in released if not getattr(t.subject, "value", "").startswith(GQR + "n-")]


def with_text(released, tmp_path, body):
    path = tmp_path / "own.ttl"
    path.write_text(PREFIX + body, encoding="utf-8")
    from guqin_kg.graph.sources import read_triples

    return [*released, *read_triples(path, guarded=True)]


needs_java = pytest.mark.skipif("hermit" not in owl.available(), reason="HermiT needs Java")


def test_shipped_graph_is_consistent_and_its_classes_are_filled(released, tmp_path):
    found = owl.reason(with_text(released, tmp_path, GOOD), "reasonable")
    assert found.consistent
    assert not found.clashes

    def classes(name):
        return {c.removeprefix(GQ) for c in found.types[GQR + name]}

    assert classes("n-t1") >= {
        "StoppedNotation",
        "FingeredNotation",
        "PositionedNotation",
        "OutsideNotation",
        "MultiStringNotation",
        "SimpleNotation",
    }
    assert "OpenNotation" not in classes("n-t1")
    assert classes("n-t2") >= {"TwoHandNotation", "StandaloneNotation"}
    assert classes("n-t3") >= {"OpenNotation", "OpenSignNotation"}
    assert classes("n-t4") >= {"CarriedPlaceNotation", "OrnamentedNotation"}


@needs_java
def test_both_reasoners_agree_on_the_shipped_graph(released, tmp_path):
    rows = with_text(released, tmp_path, GOOD)
    first, second = owl.reason(rows, "hermit"), owl.reason(rows, "reasonable")
    assert "HermiT" in first.reasoner
    assert "reasonable" in second.reasoner
    assert first.consistent
    assert second.consistent
    differing = {i for i in first.types if first.types[i] != second.types.get(i)}
    assert not differing
    assert len(first.types) > 1500


@pytest.mark.parametrize("name", BAD)
def test_contradictions_are_found_and_named(bare, tmp_path, name):
    body, kind = BAD[name]
    rows = with_text(bare, tmp_path, f"gqr:n-bad a gq:CompoundNotation ; {body} .")
    found = owl.reason(rows, "reasonable")
    assert not found.consistent
    assert {c.kind for c in found.clashes} == {kind}
    assert all(c.message["zh"] and c.message["en"] for c in found.clashes)


@needs_java
@pytest.mark.parametrize("name", ["a class that says otherwise", "open sign with a finger"])
def test_hermit_finds_a_contradiction_too(bare, tmp_path, name):
    body, _ = BAD[name]
    found = owl.reason(with_text(bare, tmp_path, f"gqr:n-bad a gq:CompoundNotation ; {body} ."), "hermit")
    assert not found.consistent
    assert found.clashes[0].focus == GQR + "n-bad"


def test_a_reasoner_that_cannot_run_is_said(monkeypatch, released):
    monkeypatch.setattr(owl.shutil, "which", lambda _: None)
    assert "hermit" not in owl.available()
    with pytest.raises(owl.ReasonerUnavailable, match="hermit") as caught:
        owl.reason(released[:10], "hermit")
    assert caught.value.exit_status == 2


def test_a_file_that_imports_a_document_is_refused(tmp_path):
    from guqin_kg.errors import GuqinKGError

    path = tmp_path / "evil.ttl"
    path.write_text("<urn:x> <http://www.w3.org/2002/07/owl#imports> <http://example.org/o> .", encoding="utf-8")
    with pytest.raises(GuqinKGError, match="import"):
        owl.released_triples([path])

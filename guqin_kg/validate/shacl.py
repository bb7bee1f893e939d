"""The reference engine: pySHACL over an rdflib memory graph.

Slow on the full graph, but the judge: whatever the fast engine says must be what this says.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pyoxigraph as ox

from guqin_kg.validate.report import SEVERITIES, Report, Result
from guqin_kg.validate.shapes import SH, ShapesGraph, Term, released_shapes

if TYPE_CHECKING:
    import rdflib

_TARGETS = ("targetClass", "targetNode", "targetSubjectsOf", "targetObjectsOf", "target")
_HOLE = re.compile(r"\{[$?]\w+\}")


def to_rdflib(store: ox.Store) -> rdflib.Graph:
    """The default graph of ``store`` as an rdflib memory graph."""
    import rdflib

    graph = rdflib.Graph()
    for quad in store.quads_for_pattern(None, None, None, ox.DefaultGraph()):
        graph.add((_term(quad.subject), _term(quad.predicate), _term(quad.object)))
    return graph


def _term(term: Term) -> Any:
    import rdflib

    if isinstance(term, ox.NamedNode):
        return rdflib.URIRef(term.value)
    if isinstance(term, ox.BlankNode):
        return rdflib.BNode(term.value)
    if term.language:
        return rdflib.Literal(term.value, lang=term.language)
    if term.datatype.value == "http://www.w3.org/2001/XMLSchema#string":
        return rdflib.Literal(term.value)
    return rdflib.Literal(term.value, datatype=rdflib.URIRef(term.datatype.value))


def from_rdflib(term: Any) -> Term:
    """An rdflib term as a pyoxigraph term."""
    import rdflib

    if isinstance(term, rdflib.URIRef):
        return ox.NamedNode(str(term))
    if isinstance(term, rdflib.BNode):
        return ox.BlankNode(str(term))
    if term.language:
        return ox.Literal(str(term), language=term.language)
    if term.datatype is None:
        return ox.Literal(str(term))
    return ox.Literal(str(term), datatype=ox.NamedNode(str(term.datatype)))


def _reachable(graph: ShapesGraph, roots: Iterable[Term]) -> rdflib.Graph:
    """The statements of the shapes graph that ``roots`` reach, with no target but theirs."""
    import rdflib

    out = rdflib.Graph()
    todo = list(roots)
    keep = set(todo)
    seen: set[Term] = set()
    while todo:
        node = todo.pop()
        if node in seen or isinstance(node, ox.Literal):
            continue
        seen.add(node)
        for quad in graph.store.quads_for_pattern(node, None, None, None):
            if quad.predicate.value.removeprefix(SH) in _TARGETS and node not in keep:
                continue
            out.add((_term(quad.subject), _term(quad.predicate), _term(quad.object)))
            todo.append(quad.object)
    return out


@contextmanager
def _queries_parsed_once() -> Iterator[None]:
    """rdflib parses each query text once while this is open; pySHACL otherwise has it parsed for every focus node."""
    from rdflib.plugins.sparql import processor as module

    processor: Any = module
    parse, translate = processor.parseQuery, processor.translateQuery
    kept: dict[tuple[str, Any, tuple[tuple[str, str], ...]], Any] = {}

    def translated(text: Any, base: Any = None, names: Any = None) -> Any:
        key = (str(text), base, tuple(sorted((str(k), str(v)) for k, v in (names or {}).items())))
        if key not in kept:
            kept[key] = translate(parse(text), base, names)
        return kept[key]

    processor.parseQuery, processor.translateQuery = (lambda text: text), translated
    try:
        yield
    finally:
        processor.parseQuery, processor.translateQuery = parse, translate


def validate_with_pyshacl(
    data: ox.Store | rdflib.Graph,
    *,
    shapes: ShapesGraph | None = None,
    only: Iterable[Term] | None = None,
    focus: Iterable[Term] | None = None,
    cached: bool = True,
) -> Report:
    """Validate with pySHACL.

    Args:
        data: a store (its default graph is copied) or an rdflib memory graph.
        shapes: the shapes; default the released ones.
        only: root shapes to apply; the targets of all others are left out.
        focus: report only these focus nodes. All are checked: pySHACL 0.40.1 applies its own ``focus_nodes``
            filter inside ``sh:node`` and ``sh:not`` too, where it makes values outside the list conform.
        cached: have each query parsed once (same results, many times faster).
    """
    import pyshacl
    import rdflib

    begin = time.perf_counter()
    graph = shapes or released_shapes()
    data_graph = to_rdflib(data) if isinstance(data, ox.Store) else data
    shapes_graph = to_rdflib(graph.store) if only is None else _reachable(graph, only)
    with _queries_parsed_once() if cached else nullcontext():
        _, report, _ = pyshacl.validate(
            data_graph,
            shacl_graph=shapes_graph,
            inference="none",
            advanced=False,
            meta_shacl=False,
            do_owl_imports=False,
            allow_infos=True,
            allow_warnings=True,
        )
    if not isinstance(report, rdflib.Graph):
        raise TypeError(f"pySHACL gave no report graph: {report}")
    rows: Iterable[Result] = (_result(report, graph, r) for r in report.objects(None, rdflib.URIRef(SH + "result")))
    if focus is not None:
        wanted = {str(node) for node in focus}
        rows = (r for r in rows if r.focus in wanted)
    return Report.of(
        rows,
        engine="pyshacl",
        seconds=time.perf_counter() - begin,
    )


def _result(report: rdflib.Graph, shapes: ShapesGraph, row: Any) -> Result:
    import rdflib

    def get(local: str) -> Any:
        return report.value(row, rdflib.URIRef(SH + local))

    path, value, rule = get("resultPath"), get("value"), get("sourceConstraint")
    source = from_rdflib(get("sourceShape"))
    severity = str(get("resultSeverity"))
    templates = list(shapes.shape(source).messages)
    if rule is not None:
        templates += shapes.objects(from_rdflib(rule), ox.NamedNode(SH + "message"))
    shown = None if path is None else f"<{path}>"
    if isinstance(path, rdflib.BNode):  # a property path: name it as the shape does
        shown = shapes.shape(source).path
    return Result(
        focus=str(from_rdflib(get("focusNode"))),
        path=shown,
        value=None if value is None else str(from_rdflib(value)),
        severity=SEVERITIES.get(severity, severity),
        shape=shapes.shape(source).name,
        constraint=str(get("sourceConstraintComponent")),
        rule=None if rule is None else getattr(from_rdflib(rule), "value", str(rule)),
        messages=_languages([str(m) for m in report.objects(row, rdflib.URIRef(SH + "resultMessage"))], templates),
    )


def _languages(texts: list[str], templates: list[ox.Literal]) -> dict[str, str]:
    """Give pySHACL's messages their language back (it drops the tag when it fills in values)."""
    out: dict[str, str] = {}
    for template in templates:
        parts = [re.escape(p) for p in _HOLE.split(template.value)]
        pattern = re.compile(".*".join(parts), re.S)
        for text in sorted(texts):
            if pattern.fullmatch(text):
                out.setdefault(template.language or "", text)
                break
    return out

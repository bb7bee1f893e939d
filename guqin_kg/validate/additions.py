"""Validate an edit before it lands: only what it touches, on a slice of the graph around it.

The slice holds the new statements, the nodes that refer to them, everything these nodes look at within a few steps,
the class hierarchy, other nodes that share a value by which a shape compares nodes across the graph
(``gqs:comparesBy``), and nodes a shape's query names (``gqs:looksAt``). The rows are those a run over the whole graph
would give for the touched nodes; a test compares. Literals are not looked at as focus nodes: the node that holds a
literal where a resource belongs breaks its own shape.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import Any

import pyoxigraph as ox

from guqin_kg.validate.fast import validate_store
from guqin_kg.validate.report import Report
from guqin_kg.validate.shapes import SH, SUBCLASS, TYPE, ShapesGraph, Term, released_shapes

GQS = "https://w3id.org/guqin/shapes#"
COMPARES_BY = ox.NamedNode(GQS + "comparesBy")
LOOKS_AT = ox.NamedNode(GQS + "looksAt")
_INVERSE = ox.NamedNode("http://www.w3.org/2002/07/owl#inverseOf")
_DEFAULT = ox.DefaultGraph()
#: How many steps shapes look from a focus node, and how many they are looked at from.
FORWARD, BACKWARD = 3, 2
#: Edits that touch more nodes than this are validated on a copy of the whole graph.
WIDE = 3_000


def validate_additions(
    store: ox.Store,
    additions: Iterable[ox.Triple | ox.Quad],
    *,
    shapes: ShapesGraph | None = None,
) -> Report:
    """What the shapes say about ``store`` with ``additions`` in it, for the nodes the additions touch.

    The store is only read; nothing is written to it.

    Args:
        store: the graph as it is (default graph; may be open read-only).
        additions: the new statements; those already there count as no change.
        shapes: default the released ones.
    """
    begin = time.perf_counter()
    graph = shapes or released_shapes()
    given = list(additions)
    new = [q for q in (ox.Quad(t.subject, t.predicate, t.object) for t in given) if q not in store]
    inverses = _inverses(store)
    start = _subjects(new, inverses, store)
    touched = _touched(store, start, inverses) if _wide_schema(new) is False else None
    if touched is None:
        whole = ox.Store()
        whole.bulk_extend(store.quads_for_pattern(None, None, None, _DEFAULT))
        whole.extend(new)
        report = validate_store(whole, shapes=graph)
        return replace(report, seconds=time.perf_counter() - begin)
    aimed: set[Any] = {
        q.object for q in graph.store.quads_for_pattern(None, ox.NamedNode(SH + "targetObjectsOf"), None, None)
    }
    looked_back = _inverse_paths(graph)
    for quad in new:
        if quad.predicate in aimed and not isinstance(quad.object, ox.Literal):
            first = next(store.quads_for_pattern(None, quad.predicate, quad.object, _DEFAULT), None) is None
            if first or quad.predicate in looked_back:
                touched.add(quad.object)
    peers = _peers(store, new, graph)
    named: set[Any] = {q.object for q in graph.store.quads_for_pattern(None, LOOKS_AT, None, None)}
    piece = _slice(store, new, touched | peers, inverses, looked_back)
    for node in named:
        piece.extend(store.quads_for_pattern(node, None, None, _DEFAULT))
    report = validate_store(piece, shapes=graph, focus=touched | peers)
    return replace(report, seconds=time.perf_counter() - begin)


def _inverses(store: ox.Store) -> dict[Term, Term]:
    out: dict[Any, Any] = {}
    for quad in store.quads_for_pattern(None, _INVERSE, None, _DEFAULT):
        out[quad.subject], out[quad.object] = quad.object, quad.subject
    return out


def _subjects(new: list[ox.Quad], inverses: dict[Term, Term], store: ox.Store) -> set[Term]:
    """Subjects of the new statements, without those that only gain the inverse of a new statement."""
    said = set(new)
    out: set[Term] = set()
    for quad in new:
        back = inverses.get(quad.predicate)
        if back is not None and isinstance(quad.object, ox.NamedNode):
            there = ox.Quad(quad.object, back, quad.subject)
            known = next(store.quads_for_pattern(quad.subject, TYPE, None, _DEFAULT), None) is not None
            if there in said and known:
                continue
        out.add(quad.subject)
    return out


def _wide_schema(new: list[ox.Quad]) -> bool:
    return any(q.predicate == SUBCLASS for q in new)


def _touched(store: ox.Store, start: set[Term], inverses: dict[Term, Term]) -> set[Term] | None:
    """``start`` and the nodes that refer to it; None when there are too many."""
    found = set(start)
    edge = set(start)
    for _ in range(BACKWARD):
        following: set[Term] = set()
        for node in edge:
            for quad in store.quads_for_pattern(None, None, node, _DEFAULT):
                if quad.predicate in inverses and _is_back(quad.predicate):
                    continue  # the other direction is stated by the node itself
                if quad.predicate != TYPE and quad.subject not in found:
                    following.add(quad.subject)
                    if len(found) + len(following) > WIDE:
                        return None
        found |= following
        edge = following
    return found


def _peers(store: ox.Store, new: list[ox.Quad], graph: ShapesGraph) -> set[Term]:
    """Nodes with an equal value for a property by which shapes compare nodes."""
    compared: set[Any] = {q.object for q in graph.store.quads_for_pattern(None, COMPARES_BY, None, None)}
    out: set[Term] = set()
    for quad in new:
        if quad.predicate in compared:
            for predicate in compared:
                out.update(q.subject for q in store.quads_for_pattern(None, predicate, quad.object, _DEFAULT))
    return out


def _inverse_paths(graph: ShapesGraph) -> set[Any]:
    """Predicates that shapes follow backwards."""
    return {q.object for q in graph.store.quads_for_pattern(None, ox.NamedNode(SH + "inversePath"), None, None)}


def _slice(
    store: ox.Store, new: list[ox.Quad], nodes: set[Term], inverses: dict[Term, Term], looked_back: set[Any]
) -> ox.Store:
    piece = ox.Store()
    piece.extend(new)
    piece.extend(store.quads_for_pattern(None, SUBCLASS, None, _DEFAULT))
    by_subject: dict[Term, list[ox.Quad]] = {}
    for quad in new:
        by_subject.setdefault(quad.subject, []).append(quad)
    seen: set[Term] = set()
    edge = set(nodes)
    back = [p for p in inverses if _is_back(p)]
    onwards = "SELECT ?s ?p ?o WHERE { ?s ?p ?o FILTER(?p NOT IN (" + ", ".join(map(str, back)) + ")) }"
    for depth in range(FORWARD + 1):
        following: set[Term] = set()
        kept: list[ox.Quad] = []
        for node in edge:
            seen.add(node)
            if isinstance(node, ox.Literal):
                continue
            there: Iterable[Any] = by_subject.get(node, ())
            if depth == 0 or not back or isinstance(node, ox.BlankNode):
                there = chain(there, store.quads_for_pattern(node, None, None, _DEFAULT))
            else:  # a component knows thousands of notations it is part of: leave these out
                rows: Any = store.query(onwards, substitutions={ox.Variable("s"): node})
                there = chain(there, (ox.Quad(row["s"], row["p"], row["o"]) for row in rows))
            for quad in there:
                kept.append(quad)
                following.add(quad.predicate)
                if not isinstance(quad.object, ox.Literal):
                    following.add(quad.object)
        piece.extend(kept)
        edge = following - seen
    _types(store, piece, edge)
    for node in nodes:
        for predicate in looked_back:
            piece.extend(store.quads_for_pattern(None, predicate, node, _DEFAULT))
    return piece


def _is_back(predicate: Any) -> bool:
    """The property is named as the inverse of another (``is… of``)."""
    return str(predicate.value).rsplit("#", 1)[-1].startswith("is")


def _types(store: ox.Store, piece: ox.Store, nodes: set[Term]) -> None:
    for node in nodes:
        if not isinstance(node, ox.Literal):
            piece.extend(store.quads_for_pattern(node, TYPE, None, _DEFAULT))

"""The fast engine agrees with pySHACL on every constraint component it compiles, whatever the data."""

from __future__ import annotations

import pyoxigraph as ox
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guqin_kg.validate.fast import validate_store
from guqin_kg.validate.shacl import validate_with_pyshacl
from guqin_kg.validate.shapes import ShapesGraph

HEAD = """
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix e: <urn:e:> .
e:pfx sh:declare [ sh:prefix "e" ; sh:namespace "urn:e:"^^xsd:anyURI ] .
"""

# one shape per constraint (or per way of nesting); {n} keeps the IRIs apart
CONSTRAINTS = {
    "class": "sh:path e:p ; sh:class e:B",
    "datatype": "sh:path e:p ; sh:datatype xsd:integer",
    "datatype-string": "sh:path e:p ; sh:datatype xsd:string",
    "nodeKind-iri": "sh:path e:p ; sh:nodeKind sh:IRI",
    "nodeKind-literal": "sh:path e:p ; sh:nodeKind sh:Literal",
    "minCount-1": "sh:path e:p ; sh:minCount 1",
    "minCount-2": "sh:path e:p ; sh:minCount 2",
    "maxCount-0": "sh:path e:p ; sh:maxCount 0",
    "maxCount-1": "sh:path e:p ; sh:maxCount 1",
    "maxCount-2": "sh:path e:p ; sh:maxCount 2",
    "minInclusive": "sh:path e:p ; sh:minInclusive 2",
    "maxExclusive": "sh:path e:p ; sh:maxExclusive 2",
    "minLength": "sh:path e:p ; sh:minLength 2",
    "maxLength": "sh:path e:p ; sh:maxLength 1",
    "pattern": 'sh:path e:p ; sh:pattern "^[a1u]"',
    "pattern-flags": 'sh:path e:p ; sh:pattern "^A" ; sh:flags "i"',
    "languageIn": 'sh:path e:p ; sh:languageIn ( "zh" "en" )',
    "uniqueLang": "sh:path e:p ; sh:uniqueLang true",
    "equals": "sh:path e:p ; sh:equals e:q",
    "disjoint": "sh:path e:p ; sh:disjoint e:q",
    "lessThan": "sh:path e:p ; sh:lessThan e:q",
    "lessThanOrEquals": "sh:path e:p ; sh:lessThanOrEquals e:q",
    "hasValue": "sh:path e:p ; sh:hasValue e:b",
    "in": 'sh:path e:p ; sh:in ( e:a 1 "x" "x"@zh )',
    "inverse": "sh:path [ sh:inversePath e:p ] ; sh:minCount 1",
    "sequence": "sh:path ( e:p e:q ) ; sh:nodeKind sh:IRI",
    "alternative": "sh:path [ sh:alternativePath ( e:p e:q ) ] ; sh:maxCount 1",
    "node": "sh:path e:p ; sh:node e:Inner",
    "not": "sh:path e:p ; sh:not e:Inner",
    "or": "sh:path e:p ; sh:or ( e:Inner [ sh:nodeKind sh:Literal ] )",
    "and": "sh:path e:p ; sh:and ( e:Inner [ sh:class e:B ] )",
    "xone": "sh:path e:p ; sh:xone ( e:Inner [ sh:class e:B ] )",
    "nested": "sh:path e:p ; sh:property [ sh:path e:q ; sh:minCount 1 ]",
}
NODE_CONSTRAINTS = {
    "n-class": "sh:class e:B",
    "n-pattern": 'sh:pattern "b$"',
    "n-in": "sh:in ( e:a e:c )",
    "n-hasValue": "sh:hasValue e:a",
    "n-not": "sh:not [ sh:property [ sh:path e:p ; sh:minCount 1 ] ]",
    "n-or": "sh:or ( [ sh:class e:B ] [ sh:property [ sh:path e:q ; sh:maxCount 1 ] ] )",
    "n-closed": "sh:closed true ; sh:ignoredProperties ( <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> ) ; "
    "sh:property [ sh:path e:p ]",
    "n-sparql": 'sh:sparql e:S1 . e:S1 sh:prefixes e:pfx ; sh:message "值 {?value}"@zh, "value {?value}"@en ; '
    'sh:select """SELECT $this ?value WHERE { $this e:p ?value . FILTER NOT EXISTS { $this e:q ?value } }""" ',
    "n-sparql-path": 'sh:sparql e:S2 . e:S2 sh:prefixes e:pfx ; sh:message "m"@en ; '
    'sh:select """SELECT $this ?path ?value WHERE { $this ?path ?value . FILTER(?path = e:q) }""" ',
    "n-sparql-count": 'sh:sparql e:S3 . e:S3 sh:prefixes e:pfx ; sh:message "m"@en ; sh:select """SELECT $this ?n '
    'WHERE { { SELECT $this (COUNT(?x) AS ?n) WHERE { $this e:p ?x } GROUP BY $this } FILTER(?n > 1) }""" ',
}
INNER = "e:Inner a sh:NodeShape ; sh:property [ sh:path e:q ; sh:minCount 1 ; sh:maxCount 2 ; sh:nodeKind sh:IRI ] .\n"


def shapes_of(kind: str) -> ShapesGraph:
    """A shapes graph with the one named constraint, on class, subjects-of and node targets."""
    body = f"sh:property e:P . e:P {CONSTRAINTS[kind]}" if kind in CONSTRAINTS else NODE_CONSTRAINTS[kind]
    target = "sh:targetClass e:A ; sh:targetSubjectsOf e:q ; sh:targetNode e:d ;"
    store = ox.Store()
    store.load(f"{HEAD}{INNER}e:Shape a sh:NodeShape ; {target} {body} .".encode(), format=ox.RdfFormat.TURTLE)
    return ShapesGraph(store)


NODES = [ox.NamedNode(f"urn:e:{c}") for c in "abcd"]
XSD = "http://www.w3.org/2001/XMLSchema#"
LITERALS = [
    ox.Literal("x"),
    ox.Literal("ax"),
    ox.Literal("x", language="zh"),
    ox.Literal("y", language="zh"),
    ox.Literal("A", language="en-GB"),
    *(ox.Literal(str(n), datatype=ox.NamedNode(XSD + "integer")) for n in (1, 2, 3)),
    ox.Literal("no", datatype=ox.NamedNode(XSD + "integer")),
]
NUMBERS = LITERALS[5:8]
TYPE = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
SUB = ox.NamedNode("http://www.w3.org/2000/01/rdf-schema#subClassOf")
CLASSES = [ox.NamedNode(f"urn:e:{c}") for c in ("A", "B", "A2")]
typing = st.tuples(st.sampled_from(NODES), st.just(TYPE), st.sampled_from(CLASSES))
facts = st.tuples(
    st.sampled_from(NODES),
    st.sampled_from([ox.NamedNode("urn:e:p"), ox.NamedNode("urn:e:q")]),
    st.sampled_from(NODES + LITERALS),
)
graphs = st.lists(st.one_of(typing, facts, facts), max_size=14)


@pytest.mark.parametrize("kind", [*CONSTRAINTS, *NODE_CONSTRAINTS])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(triples=graphs)
def test_same_results_as_pyshacl(kind: str, triples: list[tuple]) -> None:
    shapes = shapes_of(kind)
    store = ox.Store()
    store.add(ox.Quad(CLASSES[2], SUB, CLASSES[0]))
    store.extend(ox.Quad(*t) for t in triples)
    if kind.startswith("lessThan"):  # pySHACL orders IRIs and mixed literals, SPARQL does not compare them
        triples = [t for t in triples if t[2] in NUMBERS or t[1] == TYPE]
        store.clear()
        store.extend(ox.Quad(*t) for t in triples)
    fast = validate_store(store, shapes=shapes)
    assert fast.fallbacks == (), "this constraint must compile"
    slow = validate_with_pyshacl(store, shapes=shapes)
    assert {r.key for r in fast.results} == {r.key for r in slow.results}
    assert {r.key: dict(r.messages) for r in fast.results} == {r.key: dict(r.messages) for r in slow.results} or (
        not kind.startswith("n-sparql")
    )
    some = NODES[:2]
    fast, slow = (
        validate_store(store, shapes=shapes, focus=some),
        validate_with_pyshacl(store, shapes=shapes, focus=some),
    )
    assert {r.key for r in fast.results} == {r.key for r in slow.results}
    assert not list(store.named_graphs())


def test_what_does_not_compile_goes_to_pyshacl_and_is_named() -> None:
    text = HEAD + (
        "e:Shape a sh:NodeShape ; sh:targetClass e:A ; sh:property e:P . "
        "e:P sh:path [ sh:zeroOrMorePath e:p ] ; sh:class e:A ."
        "e:Plain a sh:NodeShape ; sh:targetClass e:A ; sh:property e:Q . e:Q sh:path e:q ; sh:minCount 1 ."
    )
    shapes_store = ox.Store()
    shapes_store.load(text.encode(), format=ox.RdfFormat.TURTLE)
    shapes = ShapesGraph(shapes_store)
    store = ox.Store()
    store.extend([ox.Quad(NODES[0], TYPE, CLASSES[0]), ox.Quad(NODES[0], ox.NamedNode("urn:e:p"), NODES[1])])
    fast = validate_store(store, shapes=shapes)
    slow = validate_with_pyshacl(store, shapes=shapes)
    assert fast.engine == "fast+pyshacl"
    assert [name for name, _ in fast.fallbacks] == ["urn:e:Shape"]
    assert [r.key for r in fast.results] == [r.key for r in slow.results]
    assert len(fast.results) == 2

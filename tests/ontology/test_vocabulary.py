"""The vocabulary is closed, published terms are all there, and every term explains itself."""

from __future__ import annotations

import csv
import re
import tomllib
from pathlib import Path

import pytest

from guqin_kg import resources, vocab

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
SKOS = "http://www.w3.org/2004/02/skos/core#"
DCT = "http://purl.org/dc/terms/"
GQ = "https://w3id.org/guqin/ontology#"
KINDS = {OWL + k for k in ("Class", "ObjectProperty", "DatatypeProperty", "AnnotationProperty")}


def triples(path: Path):
    import pyoxigraph as ox

    return [q.triple for q in ox.parse(path=str(path), format=ox.RdfFormat.TURTLE, base_iri="urn:base:")]


@pytest.fixture(scope="module")
def released():
    return [t for p in resources.ontology_files() for t in triples(p)]


@pytest.fixture(scope="module")
def declared(released):
    """Term IRI -> predicate -> objects, for the terms of the ontology."""
    table: dict[str, dict[str, list]] = {}
    for t in released:
        subject = getattr(t.subject, "value", "")
        if subject.startswith(GQ):
            table.setdefault(subject, {}).setdefault(t.predicate.value, []).append(t.object)
    return {s: row for s, row in table.items() if {o.value for o in row.get(RDF + "type", [])} & KINDS}


def languages(values) -> set[str]:
    return {v.language for v in values if getattr(v, "language", None)}


def test_every_term_has_labels_definitions_and_source(declared):
    assert len(declared) > 200
    problems = []
    for iri, row in sorted(declared.items()):
        for predicate in (RDFS + "label", SKOS + "definition"):
            if not languages(row.get(predicate, [])) >= {"zh", "en"}:
                problems.append(f"{iri} lacks {predicate}")
        if not row.get(DCT + "source"):
            problems.append(f"{iri} lacks a source")
    assert not problems, problems[:20]


def test_deprecated_terms_name_a_declared_successor(declared):
    deprecated = {i for i, row in declared.items() if OWL + "deprecated" in row}
    assert {i.removeprefix(GQ) for i in deprecated} >= {
        "fignerRefinedNotation",
        "rightHandTech",
        "leftHandTech",
        "AbbreviateName",
    }
    for iri in deprecated:
        (successor,) = declared[iri][DCT + "isReplacedBy"]
        assert successor.value in declared
        assert OWL + "deprecated" not in declared[successor.value]
        assert [o.value for o in declared[iri][OWL + "equivalentProperty"]] == [successor.value]


def test_every_gq_term_in_the_ontology_is_declared(released):
    unknown = set()
    for t in released:
        for node in (t.subject, t.predicate, t.object):
            value = getattr(node, "value", "")
            is_literal = hasattr(node, "datatype")
            if value.startswith(GQ) and not is_literal and value[len(GQ) :] not in vocab.terms():
                unknown.add(value)
    assert not unknown, sorted(unknown)


def test_every_gq_term_in_shapes_examples_and_alignments_is_declared():
    root = resources.folder("ontology")
    unknown: dict[str, set[str]] = {}
    for folder in ("shapes", "alignments"):
        for path in sorted((root / folder).rglob("*.ttl")):
            own = set()  # shapes have names of their own; an alignment speaks of declared terms only
            if folder == "shapes":
                own = {getattr(t.subject, "value", "") for t in triples(path)}
            for t in triples(path):
                for node in (t.subject, t.predicate, t.object):
                    value = getattr(node, "value", "")
                    term = value.startswith(GQ) and not hasattr(node, "datatype") and value not in own
                    if term and value[len(GQ) :] not in vocab.terms():
                        unknown.setdefault(path.name, set()).add(value[len(GQ) :])
    assert not unknown, unknown


def test_every_gq_term_in_queries_is_declared():
    unknown: dict[str, set[str]] = {}
    for path in resources.files("sparql", "*.rq"):
        body = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
        body = re.sub(r'"[^"\n]*"', '""', body)
        names = set(re.findall(r"\bgq:([A-Za-z][\w-]*)", body))
        if missing := names - vocab.terms():
            unknown[path.name] = missing
    assert not unknown, unknown


def test_python_reaches_only_declared_terms():
    assert vocab.GQ.sound == GQ + "sound"
    assert vocab.GQ.sound in vocab.GQ
    with pytest.raises(vocab.UnknownTermError, match="notatioName"):
        _ = vocab.GQ.notatioName
    with pytest.raises(vocab.UnknownTermError, match="no prefix"):
        vocab.full("nope:x")
    assert vocab.compact(vocab.full("gqr:rh-gou")) == "gqr:rh-gou"


def published(shared_data: Path, table: str) -> list[str]:
    with (shared_data / "data" / "vocabulary" / table).open(encoding="utf-8") as file:
        return [row["term"] for row in csv.DictReader(file)]


@pytest.mark.parametrize(("table", "count"), [("classes.csv", 13), ("properties.csv", 35)])
def test_published_tables_are_covered(shared_data, released, table, count):
    terms = published(shared_data, table)
    assert len(terms) == count
    subjects = {getattr(t.subject, "value", "") for t in released}
    missing = [t for t in terms if vocab.full(t) not in subjects]
    assert not missing


def test_published_classes_keep_their_superclass(shared_data, declared):
    mended = {"rdf:Resource": "rdfs:Resource", "shema:ImageObject": "schema:ImageObject"}
    mended["time:Temporal"] = "time:TemporalEntity"
    with (shared_data / "data" / "vocabulary" / "classes.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            parents = {o.value for o in declared[vocab.full(row["term"])][RDFS + "subClassOf"]}
            for name in re.split(r",\s*", row["sub_class_of"]):
                assert vocab.full(mended.get(name, name)) in parents, (row["term"], name)


def test_inverse_pairs_are_declared(declared):
    pairs = [
        (declared[GQ + a].get(OWL + "inverseOf", [None])[0], GQ + b)
        for a, b in [
            ("hasVideo", "isVideoOf"),
            ("hasAudio", "isAudioOf"),
            ("hasImage", "isImageOf"),
            ("isAnnotationOf", "hasAnnotation"),
            ("isInstanceOf", "hasInstance"),
            ("hasMusicNotation", "isMusicNotationOf"),
            ("hasComponent", "isComponentOf"),
        ]
    ]
    assert all(found is not None and found.value == wanted for found, wanted in pairs)


def test_version_iri_is_the_version_of_the_package(released):
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    version = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
    (iri,) = [t.object.value for t in released if t.predicate.value == OWL + "versionIRI"]
    (info,) = [t.object.value for t in released if t.predicate.value == OWL + "versionInfo"]
    assert iri.endswith("/" + version)
    assert info == version


def test_prefixes_of_every_file_agree_with_the_table():
    table = vocab.prefixes()
    from guqin_kg.graph.serialise import prefixes_of

    for path in resources.files("ontology", "*.ttl"):
        for name, iri in prefixes_of(path.read_text(encoding="utf-8")).items():
            if path.parts[-3] != "examples" and name in table:
                assert table[name] == iri, (path.name, name)

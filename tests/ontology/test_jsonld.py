"""The JSON-LD context is current and gives back the same statements."""

from __future__ import annotations

import json

from guqin_kg import jsonld, resources
from guqin_kg.inventory import GQ, GQR


def test_context_file_is_current():
    path = resources.folder("ontology") / "context.jsonld"
    assert path.read_text(encoding="utf-8") == jsonld.text(), "run `python -m guqin_kg.jsonld`"


def test_short_names_mean_the_terms():
    import pyoxigraph as ox

    document = {
        **jsonld.context(),
        "id": "gqr:n-test",
        "type": "CompoundNotation",
        "label": {"zh": "大九勾四", "en": "da jiu gou si"},
        "string": 4,
        "leftFinger": "gqr:lf-da",
        "notationName": "大九勾四",
    }
    rows = {q.triple for q in ox.parse(input=json.dumps(document), format=ox.RdfFormat.JSON_LD)}
    subject = ox.NamedNode(GQR + "n-test")
    assert ox.Triple(subject, ox.NamedNode(GQ + "leftFinger"), ox.NamedNode(GQR + "lf-da")) in rows
    assert ox.Triple(subject, ox.NamedNode(GQ + "string"), ox.Literal(4)) in rows
    assert ox.Triple(subject, ox.NamedNode(GQ + "notationName"), ox.Literal("大九勾四")) in rows
    assert len(rows) == 6

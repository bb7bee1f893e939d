"""The JSON-LD context: short names for the terms of the ontology, made from the ontology itself.

``python -m guqin_kg.jsonld`` writes ``ontology/context.jsonld``; a test compares it with what the terms say.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from guqin_kg import resources
from guqin_kg.vocab import prefixes

_RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_RANGE = "http://www.w3.org/2000/01/rdf-schema#range"
_OWL = "http://www.w3.org/2002/07/owl#"
_XSD = "http://www.w3.org/2001/XMLSchema#"
#: Short names of terms from other vocabularies; ``labels`` and the like are maps by language.
_OTHER: dict[str, Any] = {
    "id": "@id",
    "type": "@type",
    "label": {"@id": "rdfs:label", "@container": "@language"},
    "definition": {"@id": "skos:definition", "@container": "@language"},
    "note": {"@id": "skos:note", "@container": "@language"},
    "source": {"@id": "dct:source", "@type": "@id"},
    "title": {"@id": "dct:title"},
    "created": {"@id": "dct:created"},
    "description": {"@id": "dct:description"},
}


def context() -> dict[str, Any]:
    """The context document: prefixes, the terms of ``gq:`` and a few of other vocabularies, sorted.

    Object properties take IRIs; data properties keep the type of their range, so that numbers stay numbers.
    """
    import pyoxigraph as ox

    namespace = prefixes()["gq"]
    kinds: dict[str, set[str]] = {}
    ranges: dict[str, str] = {}
    for path in sorted((resources.folder("ontology") / "modules").glob("*.ttl")):
        for quad in ox.parse(path=str(path), format=ox.RdfFormat.TURTLE):
            subject = str(getattr(quad.subject, "value", ""))
            target = str(getattr(quad.object, "value", ""))
            if not subject.startswith(namespace):
                continue
            name = subject.removeprefix(namespace)
            if quad.predicate.value == _RDF_TYPE:
                kinds.setdefault(name, set()).add(target.removeprefix(_OWL))
            elif quad.predicate.value == _RANGE:
                ranges[name] = target
    terms: dict[str, Any] = {}
    for name, kind in kinds.items():
        if "ObjectProperty" in kind:
            terms[name] = {"@id": f"gq:{name}", "@type": "@id"}
        elif "DatatypeProperty" in kind:
            typed = ranges.get(name, "").startswith(_XSD) and ranges[name] != _XSD + "string"
            terms[name] = {"@id": f"gq:{name}"}
            if typed:
                terms[name]["@type"] = "xsd:" + ranges[name].removeprefix(_XSD)
        elif "Class" in kind:
            terms[name] = f"gq:{name}"
    return {"@context": {"@version": 1.1, **prefixes(), **dict(sorted({**_OTHER, **terms}.items()))}}


def text() -> str:
    """The context as it stands in ``ontology/context.jsonld``."""
    return json.dumps(context(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    place = resources.folder("ontology") / "context.jsonld"
    place.write_text(text(), encoding="utf-8")
    sys.stderr.write(f"written: {place}\n")

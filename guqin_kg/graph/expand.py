"""What follows from single statements and the ontology, worked out when a file is read.

Published terms that the ontology keeps as deprecated aliases are replaced by their successors; inverse properties and
the classes above a class are added.  A thing of which a property is stated that the ontology does not have is called a
resource, so that the shapes, which look at things with a class, see it.  Each rule looks at one statement and the
ontology only, so a changed file changes exactly the statements it gives.  Rules that need the whole graph are in
``derive``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guqin_kg.inventory import GQ

if TYPE_CHECKING:
    from pyoxigraph import NamedNode, Triple

_RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_SUBCLASS = "http://www.w3.org/2000/01/rdf-schema#subClassOf"
_OWL = "http://www.w3.org/2002/07/owl#"
_REPLACED = "http://purl.org/dc/terms/isReplacedBy"
PROPERTY_KINDS = frozenset(_OWL + k for k in ("ObjectProperty", "DatatypeProperty", "AnnotationProperty"))
_RESOURCE = "http://www.w3.org/2000/01/rdf-schema#Resource"
#: The published tables print one term both for sound files and for pictures; a picture is told by its class.
_AUDIO, _IMAGE_PROPERTY, _IMAGE = GQ + "hasAudio", GQ + "hasImage", GQ + "Image"


#: Stated in one direction only: the inverse would make every use of a sign a statement about the sign.
_ONE_WAY = frozenset({GQ + "hasComponent", GQ + "isComponentOf"})


@dataclass(frozen=True)
class Schema:
    """What ``expand`` needs of the ontology.

    Attributes:
        replaced: deprecated term to its successor.
        inverse: property to its inverse.
        above: class to all named classes of the ontology above it.
        properties: the properties the ontology declares, deprecated ones included.
    """

    replaced: dict[str, str]
    inverse: dict[str, str]
    above: dict[str, tuple[str, ...]]
    properties: frozenset[str] = frozenset()


def read_schema(triples: Iterable[Triple]) -> Schema:
    """The schema stated in the ontology's triples."""
    deprecated, successor, inverse, properties = set(), {}, {}, set()
    parents: dict[str, set[str]] = defaultdict(set)
    for t in triples:
        subject, predicate = getattr(t.subject, "value", ""), t.predicate.value
        target = getattr(t.object, "value", "")
        if predicate == _OWL + "deprecated" and target == "true":
            deprecated.add(subject)
        elif predicate == _REPLACED:
            successor[subject] = target
        elif predicate == _OWL + "inverseOf" and {subject, target}.isdisjoint(_ONE_WAY):
            if subject.startswith(GQ) and target.startswith(GQ):
                inverse[subject], inverse[target] = target, subject
        elif predicate == _SUBCLASS and subject.startswith(GQ) and target.startswith(GQ):
            parents[subject].add(target)
        elif predicate == _RDF_TYPE and target in PROPERTY_KINDS:
            properties.add(subject)
    above = {}
    for cls in parents:
        seen: set[str] = set()
        todo = list(parents[cls])
        while todo:
            one = todo.pop()
            if one not in seen and one != cls:
                seen.add(one)
                todo.extend(parents.get(one, ()))
        above[cls] = tuple(sorted(seen))
    replaced = {old: new for old, new in successor.items() if old in deprecated}
    return Schema(replaced, inverse, above, frozenset(properties))


def expand(triples: Iterable[Triple], schema: Schema) -> list[Triple]:
    """``triples`` in today's terms, with inverses and classes above added; each statement once."""
    import pyoxigraph as ox

    node: dict[str, NamedNode] = {}

    def iri(value: str) -> Any:
        if value not in node:
            node[value] = ox.NamedNode(value)
        return node[value]

    rows = list(triples)
    images = {t.subject for t in rows if t.predicate.value == _RDF_TYPE and getattr(t.object, "value", "") == _IMAGE}
    out: dict[Triple, None] = {}
    for t in rows:
        predicate, value = t.predicate.value, getattr(t.object, "value", "")
        if predicate == _AUDIO and t.object in images:
            t = ox.Triple(t.subject, iri(_IMAGE_PROPERTY), t.object)
        elif predicate in schema.replaced:
            t = ox.Triple(t.subject, iri(schema.replaced[predicate]), t.object)
        if predicate == _RDF_TYPE:
            cls = schema.replaced.get(value, value)
            if cls != value:
                t = ox.Triple(t.subject, t.predicate, iri(cls))
            for one in schema.above.get(cls, ()):
                out[ox.Triple(t.subject, t.predicate, iri(one))] = None
        out[t] = None
        if schema.properties and t.predicate.value.startswith(GQ) and t.predicate.value not in schema.properties:
            out[ox.Triple(t.subject, iri(_RDF_TYPE), iri(_RESOURCE))] = None
        back = schema.inverse.get(t.predicate.value)
        if back is not None and isinstance(t.object, ox.NamedNode):
            out[ox.Triple(t.object, iri(back), t.subject)] = None
    return list(out)

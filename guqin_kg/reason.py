"""OWL: is the graph consistent, and which notation falls into which defined class?

Two reasoners answer.  HermiT (through owlready2) is complete for what the ontology says but needs Java;
``reasonable`` applies the OWL RL rules and needs nothing.  The ontology is written so that both give the
same answers (a test compares them).

Neither explains a contradiction, so the clashes are found and named here: a value that must be unique
given twice, one thing in two disjoint classes.  Reasoning is open-world: that an open string has *no* left
finger cannot be inferred, only that naming one beside the sign for an open string contradicts; absence is
the business of the shapes.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from guqin_kg.errors import GuqinKGError
from guqin_kg.inventory import GQ, GQR, local

if TYPE_CHECKING:
    from pyoxigraph import Triple

ReasonerName = Literal["hermit", "reasonable"]

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
_TYPE = RDF + "type"
_PROPERTY_KINDS = ("ObjectProperty", "DatatypeProperty")
#: Statements about terms that reasoning needs; labels, definitions and the like are left out.
_SCHEMA = {
    _TYPE,
    *(RDFS + n for n in ("subClassOf", "subPropertyOf", "domain", "range")),
    *(RDF + n for n in ("first", "rest")),
    *(OWL + n for n in ("equivalentClass", "equivalentProperty", "inverseOf", "disjointWith", "complementOf")),
    *(OWL + n for n in ("intersectionOf", "unionOf", "oneOf", "onProperty", "hasValue", "someValuesFrom")),
    *(OWL + n for n in ("allValuesFrom", "members", "distinctMembers", "differentFrom", "sameAs")),
}


class ReasonerUnavailable(GuqinKGError):
    """The reasoner asked for cannot run here (no Java, or its package is missing)."""

    exit_status = 2


@dataclass(frozen=True)
class Clash:
    """One contradiction: ``focus`` cannot be what the graph says, because of ``because``."""

    kind: Literal["two-values", "disjoint"]
    focus: str
    because: tuple[str, ...]
    message: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"kind": self.kind, "focus": self.focus, "because": list(self.because), "message": self.message}


@dataclass(frozen=True)
class Reasoning:
    """What a reasoner found.

    Attributes:
        reasoner: name and version of the reasoner that answered.
        consistent: whether the graph can be true.
        types: individual to all named classes of the ontology it belongs to (empty when inconsistent).
        inferred: the same, only what was not stated.
        clashes: named contradictions, empty when consistent.
        seconds: time taken by the reasoner.
        triples: statements it was given.
        declared: the named classes of the ontology.
    """

    reasoner: str
    consistent: bool
    types: Mapping[str, frozenset[str]]
    inferred: Mapping[str, frozenset[str]]
    clashes: tuple[Clash, ...]
    seconds: float
    triples: int
    declared: frozenset[str] = frozenset()

    def counts(self) -> dict[str, int]:
        """Class (local name) to number of individuals in it, largest first."""
        out: dict[str, int] = defaultdict(int)
        for classes in self.types.values():
            for cls in classes:
                out[local(cls)] += 1
        return dict(sorted(out.items(), key=lambda p: (-p[1], p[0])))

    def to_json(self) -> dict[str, Any]:
        """As plain data; the classes the reasoner filled are under ``inferred``."""
        new: dict[str, int] = defaultdict(int)
        for classes in self.inferred.values():
            for cls in classes:
                new[local(cls)] += 1
        return {
            "reasoner": self.reasoner,
            "consistent": self.consistent,
            "triples": self.triples,
            "seconds": round(self.seconds, 3),
            "individuals": len(self.types),
            "inferred": dict(sorted(new.items())),
            "classes": self.counts(),
            "clashes": [c.to_json() for c in self.clashes],
        }


def released_triples(extra: Iterable[Path] = (), *, base: Iterable[Path] | None = None) -> list[Triple]:
    """The ontology, its individuals, the positions derived from them, and ``extra`` files of a user.

    Args:
        extra: Turtle, N-Triples or JSON-LD files; they may not import documents nor declare terms.
        base: the Turtle files of the ontology (default: those of the package).

    Raises:
        GraphSyntaxError: a file is broken; names file and line.
    """
    import pyoxigraph as ox

    from guqin_kg import resources
    from guqin_kg.graph import derive, sources
    from guqin_kg.inventory import load_inventory

    extra = list(extra)
    base = list(resources.ontology_files() if base is None else base)
    out: list[Triple] = []
    for path in base:  # class expressions keep their blank nodes, as OWL wants them
        out.extend(q.triple for q in ox.parse(path=str(path), format=ox.RdfFormat.TURTLE, base_iri=GQR))
    for path in extra:
        out.extend(sources.read_triples(path, guarded=True))
    out.extend(derive.positions(load_inventory([p for p in extra if p.suffix == ".ttl"], base=base)))
    return out


def relevant(triples: Iterable[Triple]) -> list[Triple]:
    """The statements that reasoning needs: schema, types, and values of declared object properties.

    Annotations, literals, deprecated imports and SHACL are dropped; so is ``owl:imports``, which nothing
    here ever follows.
    """
    rows = list(triples)
    objects = {_text(t.subject) for t in rows if t.predicate.value == _TYPE and _is(t.object, "ObjectProperty")}
    literals = {_text(t.subject) for t in rows if t.predicate.value == _TYPE and _is(t.object, "DatatypeProperty")}
    out: dict[Triple, None] = {}
    for t in rows:
        predicate = t.predicate.value
        target = _text(t.object)
        if predicate == _TYPE and target in (OWL + "Ontology", OWL + "AnnotationProperty"):
            continue
        if predicate in _SCHEMA:
            if _text(t.subject) in literals and predicate != _TYPE:
                continue  # ranges of literals are checked by the shapes
            out[t] = None
        elif predicate in objects:
            out[t] = None
    return list(out)


def _text(node: Any) -> str:
    return str(getattr(node, "value", ""))


def _is(node: Any, name: str) -> bool:
    return getattr(node, "value", None) == OWL + name


def available() -> list[ReasonerName]:
    """The reasoners that can run here, best first."""
    from importlib.util import find_spec

    found: list[ReasonerName] = []
    if find_spec("owlready2") and shutil.which("java"):
        found.append("hermit")
    if find_spec("reasonable"):
        found.append("reasonable")
    return found


def reason(triples: Sequence[Triple], reasoner: ReasonerName | Literal["auto"] = "auto") -> Reasoning:
    """Check consistency and classify every named individual.

    Args:
        triples: schema and data together, as ``released_triples`` gives them.
        reasoner: ``hermit``, ``reasonable`` or ``auto`` (HermiT where Java is there).

    Raises:
        ReasonerUnavailable: the reasoner asked for cannot run here.
    """
    import pyoxigraph as ox

    here = available()
    if reasoner == "auto":
        if not here:
            raise ReasonerUnavailable(
                "no reasoner is installed", code="no-reasoner", hint="pip install reasonable, or owlready2 and Java"
            )
        reasoner = here[0]
    if reasoner not in here:
        raise ReasonerUnavailable(
            f"the reasoner {reasoner!r} cannot run here",
            code="no-reasoner",
            hint="HermiT needs owlready2 and Java on the PATH" if reasoner == "hermit" else "pip install reasonable",
        )
    rows = relevant(triples)
    start = time.perf_counter()
    if reasoner == "hermit":
        name, consistent, types = _hermit(rows)
        clashes = find_clashes(rows)
    else:
        name, types = _reasonable(rows)
        clashes = find_clashes(rows, types)
        consistent = not clashes
    seconds = time.perf_counter() - start
    if consistent and clashes:  # pragma: no cover - the two would disagree only through a fault of ours
        consistent = False
    individuals = _individuals(rows)
    stated: dict[str, set[str]] = defaultdict(set)
    for t in rows:
        if t.predicate.value == _TYPE:
            stated[_text(t.subject)].add(_text(t.object))
    kept = {} if not consistent else {i: frozenset(types.get(i, ())) for i in sorted(individuals)}
    return Reasoning(
        reasoner=name,
        consistent=consistent,
        types=kept,
        inferred={i: new for i, classes in kept.items() if (new := frozenset(classes - stated[i]))},
        clashes=clashes,
        seconds=seconds,
        triples=len(rows),
        declared=frozenset(
            t.subject.value
            for t in rows
            if t.predicate.value == _TYPE and _is(t.object, "Class") and isinstance(t.subject, ox.NamedNode)
        ),
    )


def _individuals(rows: Iterable[Triple]) -> set[str]:
    """Named resources of ours with a class of ours; the terms themselves are not individuals."""
    return {
        _text(t.subject)
        for t in rows
        if t.predicate.value == _TYPE and _text(t.object).startswith(GQ) and _text(t.subject).startswith((GQ, GQR))
    }


def _lines(rows: Iterable[Triple]) -> bytes:
    import pyoxigraph as ox

    data = ox.serialize(rows, format=ox.RdfFormat.N_TRIPLES)
    assert data is not None  # no output was given, so the bytes come back
    return data


def _reasonable(rows: Iterable[Triple]) -> tuple[str, dict[str, set[str]]]:
    import reasonable

    with tempfile.NamedTemporaryFile(suffix=".ttl") as file:
        file.write(_lines(rows))
        file.flush()
        engine = reasonable.PyReasoner()
        engine.load_file(file.name)
        result = engine.reason()
    types: dict[str, set[str]] = defaultdict(set)
    for subject, predicate, value in result:
        if str(predicate) == _TYPE and str(value).startswith(GQ):
            types[str(subject)].add(str(value))
    return f"reasonable {_version('reasonable')} (OWL RL)", types


def _hermit(rows: Iterable[Triple]) -> tuple[str, bool, dict[str, set[str]]]:
    """Run HermiT in a world of its own; nothing is fetched, owl:imports is gone before it starts."""
    import owlready2
    import pyoxigraph as ox

    rows = list(rows)
    declared = ox.NamedNode(OWL + "NamedIndividual")
    names = sorted(_individuals(rows))
    rows += [ox.Triple(ox.NamedNode(i), ox.NamedNode(_TYPE), declared) for i in names]
    rows = _values_as_classes(rows)
    data = _lines(rows)
    world = owlready2.World()
    onto = world.get_ontology("https://w3id.org/guqin/ontology/reasoning#")
    onto.load(fileobj=io.BytesIO(data), only_local=True, format="ntriples")
    name = f"HermiT by owlready2 {_version('owlready2')}"
    talk = io.StringIO()
    try:
        with onto, contextlib.redirect_stdout(talk), contextlib.redirect_stderr(talk):
            owlready2.sync_reasoner_hermit(world, infer_property_values=False, debug=0)
    except owlready2.OwlReadyInconsistentOntologyError:
        return name, False, {}
    except owlready2.OwlReadyJavaError as error:
        raise ReasonerUnavailable(
            f"HermiT stopped: {str(error).splitlines()[0][:200]}",
            code="reasoner-failed",
            hint="run with --reasoner reasonable",
        ) from None
    above: dict[Any, set[str]] = {}

    def ancestors(cls: Any) -> set[str]:
        if cls not in above:
            found = {a.iri for a in cls.ancestors() if isinstance(a, owlready2.ThingClass)}
            above[cls] = {iri for iri in found if iri.startswith(GQ)}
        return above[cls]

    types: dict[str, set[str]] = {}
    for iri in names:
        individual = world[iri]
        is_a = getattr(individual, "is_a", ())
        types[iri] = set().union(*(ancestors(c) for c in is_a if isinstance(c, owlready2.ThingClass)))
    return name, True, types


def _values_as_classes(rows: list[Triple]) -> list[Triple]:
    """``hasValue v`` as ``someValuesFrom C`` with ``v`` the member of a class ``C`` of its own.

    Individuals inside class expressions (nominals) made HermiT five times slower on 150 notations.  The classes of
    values that are stated to differ are made disjoint, so no contradiction is lost.
    """
    import pyoxigraph as ox

    def own(value: Any) -> ox.NamedNode:
        return ox.NamedNode(f"urn:class-of:{_text(value)}")

    def named(name: str) -> ox.NamedNode:
        return ox.NamedNode(OWL + name)

    kind = ox.NamedNode(_TYPE)
    values = {t.object for t in rows if t.predicate.value == OWL + "hasValue"}
    out = [
        ox.Triple(t.subject, named("someValuesFrom"), own(t.object)) if t.predicate.value == OWL + "hasValue" else t
        for t in rows
    ]
    for value in values:
        if isinstance(value, ox.NamedNode):
            out += [ox.Triple(own(value), kind, named("Class")), ox.Triple(value, kind, own(value))]
    cells: dict[Any, dict[str, Any]] = defaultdict(dict)
    for t in rows:
        if t.predicate.value in (RDF + "first", RDF + "rest"):
            cells[t.subject][t.predicate.value] = t.object
    for t in rows:
        if t.predicate.value == OWL + "distinctMembers":
            node: Any = t.object
            members = []
            while node in cells:
                members.append(cells[node].get(RDF + "first"))
                node = cells[node].get(RDF + "rest")
            known = [m for m in members if m in values]
            out += [
                ox.Triple(own(a), named("disjointWith"), own(b)) for i, a in enumerate(known) for b in known[i + 1 :]
            ]
    return out


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


_TWO_VALUES = """
PREFIX owl: <http://www.w3.org/2002/07/owl#>
PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#>
SELECT DISTINCT ?focus ?p ?a ?b WHERE {
  ?p a owl:FunctionalProperty . ?focus ?p ?a , ?b . FILTER(STR(?a) < STR(?b))
  ?all a owl:AllDifferent ; owl:distinctMembers ?list .
  ?list rdf:rest*/rdf:first ?a . ?list rdf:rest*/rdf:first ?b .
} ORDER BY ?focus ?p"""

_OTHER_VALUE = """
PREFIX owl: <http://www.w3.org/2002/07/owl#>
PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
SELECT DISTINCT ?focus ?p ?a ?b WHERE {
  ?p a owl:FunctionalProperty . ?r owl:onProperty ?p ; owl:hasValue ?a .
  ?class owl:equivalentClass/owl:intersectionOf/rdf:rest*/rdf:first ?r .
  ?below rdfs:subClassOf* ?class . ?focus a ?below ; ?p ?b . FILTER(?a != ?b)
  ?all a owl:AllDifferent ; owl:distinctMembers ?list .
  ?list rdf:rest*/rdf:first ?a . ?list rdf:rest*/rdf:first ?b .
} ORDER BY ?focus ?p"""

_DISJOINT = """
PREFIX owl: <http://www.w3.org/2002/07/owl#>
PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#>
SELECT DISTINCT ?focus ?a ?b WHERE {
  { ?a owl:disjointWith ?b . }
  UNION
  { ?all a owl:AllDisjointClasses ; owl:members ?list .
    ?list rdf:rest*/rdf:first ?a . ?list rdf:rest*/rdf:first ?b . FILTER(STR(?a) < STR(?b)) }
  ?focus a ?a , ?b .
} ORDER BY ?focus ?a ?b"""


def _rows(store: Any, query: str) -> list[Any]:
    return list(store.query(query))


def find_clashes(rows: Sequence[Triple], types: Mapping[str, Iterable[str]] | None = None) -> tuple[Clash, ...]:
    """Name every contradiction in ``rows``: two values where one is allowed (one of them may follow from a class),
    and membership of disjoint classes.

    Disjointness is looked for after the OWL RL rules have run.  When a value is given twice, the rules would
    take the two values for one and see contradictions everywhere, so then only the double values are named.
    """
    import pyoxigraph as ox

    store = ox.Store()
    store.bulk_extend(ox.Quad(t.subject, t.predicate, t.object) for t in rows)
    found = []
    for row in [*_rows(store, _TWO_VALUES), *_rows(store, _OTHER_VALUE)]:
        focus, p, a, b = (row[n].value for n in ("focus", "p", "a", "b"))
        found.append(
            Clash(
                "two-values",
                focus,
                (p, a, b),
                {
                    "zh": f"{local(focus)}：gq:{local(p)} 只能取一值，今兼有 {local(a)} 与 {local(b)}；请删其一",
                    "en": f"{local(focus)}: gq:{local(p)} takes one value but has both {local(a)} and {local(b)}; "
                    "remove one, or the class that implies it",
                },
            )
        )
    if found:
        return tuple(found)
    if types is None:
        types = _reasonable(rows)[1] if "reasonable" in available() else {}
    store.bulk_extend(
        ox.Quad(ox.NamedNode(s), ox.NamedNode(_TYPE), ox.NamedNode(c))
        for s, classes in types.items()
        if s.startswith((GQ, GQR))
        for c in classes
    )
    for row in _rows(store, _DISJOINT):
        focus, a, b = (row[n].value for n in ("focus", "a", "b"))
        found.append(
            Clash(
                "disjoint",
                focus,
                (a, b),
                {
                    "zh": f"{local(focus)}：gq:{local(a)} 与 gq:{local(b)} 互斥；请改两类之一的依据",
                    "en": f"{local(focus)}: gq:{local(a)} and gq:{local(b)} are disjoint, it cannot be both; "
                    "change the statement that puts it into one of them",
                },
            )
        )
    return tuple(found)

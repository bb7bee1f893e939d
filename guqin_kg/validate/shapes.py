"""Read a SHACL shapes graph into frozen records the compiler can walk.

Only SHACL 1.0 core and ``sh:sparql`` are read. Anything else (SHACL-AF targets and rules, custom components,
JavaScript) is noted on the shape as *unsupported*, so that the fast engine hands that shape to pySHACL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import pyoxigraph as ox

from guqin_kg import resources
from guqin_kg.errors import GraphSyntaxError

SH = "http://www.w3.org/ns/shacl#"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
TYPE = ox.NamedNode(RDF + "type")
SUBCLASS = ox.NamedNode(RDFS + "subClassOf")

Term: TypeAlias = Any  # NamedNode, BlankNode or Literal; pyoxigraph types quads wider than SHACL needs

# parameter → local name of the constraint component it starts
COMPONENTS = {
    "class": "Class",
    "datatype": "Datatype",
    "nodeKind": "NodeKind",
    "minCount": "MinCount",
    "maxCount": "MaxCount",
    "minExclusive": "MinExclusive",
    "minInclusive": "MinInclusive",
    "maxExclusive": "MaxExclusive",
    "maxInclusive": "MaxInclusive",
    "minLength": "MinLength",
    "maxLength": "MaxLength",
    "pattern": "Pattern",
    "languageIn": "LanguageIn",
    "uniqueLang": "UniqueLang",
    "equals": "Equals",
    "disjoint": "Disjoint",
    "lessThan": "LessThan",
    "lessThanOrEquals": "LessThanOrEquals",
    "not": "Not",
    "and": "And",
    "or": "Or",
    "xone": "Xone",
    "node": "Node",
    "closed": "Closed",
    "hasValue": "HasValue",
    "in": "In",
    "sparql": "SPARQL",
}
_SILENT = frozenset(
    """
    targetClass targetNode targetSubjectsOf targetObjectsOf property path severity message name description
    order group defaultValue deactivated flags ignoredProperties prefixes declare
    """.split()  # noqa: SIM905 - a word list reads better than eighteen strings
)


def sh(local: str) -> ox.NamedNode:
    """The SHACL term with this local name."""
    return ox.NamedNode(SH + local)


class UnsupportedShape(Exception):
    """A shape uses something the fast engine does not compile; the reason is the message."""


@dataclass(frozen=True)
class Constraint:
    """One constraint: component IRI, its parameter value, and for lists their members."""

    component: str
    parameter: str
    value: Term
    members: tuple[Term, ...] = ()


@dataclass(frozen=True)
class Shape:
    """One node or property shape as read; ``path`` is a SPARQL path or None for a node shape."""

    node: Term
    targets: tuple[tuple[str, Term], ...]
    path: str | None
    severity: str
    messages: tuple[ox.Literal, ...]
    constraints: tuple[Constraint, ...]
    properties: tuple[Term, ...]
    deactivated: bool
    unsupported: tuple[str, ...]

    @property
    def name(self) -> str:
        """IRI or blank node label."""
        return self.node.value if isinstance(self.node, ox.NamedNode) else str(self.node)


class ShapesGraph:
    """A shapes graph held in memory, with lazy :class:`Shape` records.

    Args:
        store: the parsed shapes (default graph).
    """

    def __init__(self, store: ox.Store) -> None:
        self.store = store
        self._shapes: dict[Term, Shape] = {}
        self._custom = {
            o.object
            for p in store.quads_for_pattern(None, sh("parameter"), None, None)
            for o in self._quads(p.object, sh("path"))
        }

    def _quads(self, subject: Term, predicate: ox.NamedNode) -> Iterable[Any]:
        return self.store.quads_for_pattern(subject, predicate, None, None)

    def objects(self, subject: Term, predicate: ox.NamedNode) -> list[Term]:
        """Objects of (subject, predicate) in a stable order."""
        found = [q.object for q in self.store.quads_for_pattern(subject, predicate, None, None)]
        return sorted(found, key=str)

    def value(self, subject: Term, predicate: ox.NamedNode) -> Term | None:
        """The first object, or None."""
        return next(iter(self.objects(subject, predicate)), None)

    def members(self, head: Term) -> tuple[Term, ...]:
        """Members of an RDF list."""
        out: list[Term] = []
        nil = ox.NamedNode(RDF + "nil")
        while head != nil:
            first = self.value(head, ox.NamedNode(RDF + "first"))
            rest = self.value(head, ox.NamedNode(RDF + "rest"))
            if first is None or rest is None or len(out) > 100_000:
                raise UnsupportedShape(f"broken list at {head}")
            out.append(first)
            head = rest
        return tuple(out)

    def roots(self) -> list[Shape]:
        """All shapes with a target, by IRI."""
        subjects: set[Term] = set()
        for kind in ("targetClass", "targetNode", "targetSubjectsOf", "targetObjectsOf", "target"):
            subjects.update(q.subject for q in self.store.quads_for_pattern(None, sh(kind), None, None))
        for kind in ("NodeShape", "PropertyShape"):
            for quad in self.store.quads_for_pattern(None, TYPE, sh(kind), None):
                if self._is_class(quad.subject):
                    subjects.add(quad.subject)
        return [self.shape(s) for s in sorted(subjects, key=str)]

    def _is_class(self, node: Term) -> bool:
        kinds = {t.value for t in self.objects(node, TYPE) if isinstance(t, ox.NamedNode)}
        return bool(kinds & {RDFS + "Class", "http://www.w3.org/2002/07/owl#Class"})

    def shape(self, node: Term) -> Shape:
        """The record of the shape at ``node``."""
        if node not in self._shapes:
            self._shapes[node] = self._read(node)
        return self._shapes[node]

    def _read(self, node: Term) -> Shape:
        targets: list[tuple[str, Term]] = [("targetClass", node)] if self._is_class(node) else []
        constraints: list[Constraint] = []
        unsupported: list[str] = []
        for quad in sorted(self.store.quads_for_pattern(node, None, None, None), key=str):
            predicate, obj = quad.predicate, quad.object
            if predicate in self._custom:
                unsupported.append(f"custom component parameter {predicate.value}")
            if not predicate.value.startswith(SH):
                continue
            local = predicate.value.removeprefix(SH)
            if local in ("targetClass", "targetNode", "targetSubjectsOf", "targetObjectsOf"):
                targets.append((local, obj))
            elif local in COMPONENTS:
                members: tuple[Term, ...] = ()
                if local in ("in", "and", "or", "xone", "languageIn"):
                    members = self.members(obj)
                name = f"{SH}{COMPONENTS[local]}ConstraintComponent"
                constraints.append(Constraint(name, local, obj, members))
            elif local not in _SILENT:
                unsupported.append(f"sh:{local}")
        path_node = self.value(node, sh("path"))
        severity = self.value(node, sh("severity"))
        flag = self.value(node, sh("deactivated"))
        return Shape(
            node=node,
            targets=tuple(targets),
            path=None if path_node is None else self.path(path_node),
            severity=severity.value if isinstance(severity, ox.NamedNode) else SH + "Violation",
            messages=tuple(m for m in self.objects(node, sh("message")) if isinstance(m, ox.Literal)),
            constraints=tuple(constraints),
            properties=tuple(self.objects(node, sh("property"))),
            deactivated=isinstance(flag, ox.Literal) and flag.value == "true",
            unsupported=tuple(unsupported),
        )

    def path(self, node: Term) -> str:
        """A SHACL property path as a SPARQL property path."""
        if isinstance(node, ox.NamedNode):
            return str(node)
        for local, mark in (("zeroOrMorePath", "*"), ("oneOrMorePath", "+"), ("zeroOrOnePath", "?")):
            inner = self.value(node, sh(local))
            if inner is not None:
                return f"({self.path(inner)}){mark}"
        inverse = self.value(node, sh("inversePath"))
        if inverse is not None:
            return f"^{self.path(inverse)}" if isinstance(inverse, ox.NamedNode) else f"^({self.path(inverse)})"
        either = self.value(node, sh("alternativePath"))
        if either is not None:
            return "(" + "|".join(self.path(m) for m in self.members(either)) + ")"
        return "(" + "/".join(self.path(m) for m in self.members(node)) + ")"

    def select(self, constraint: Constraint) -> tuple[str, tuple[ox.Literal, ...]]:
        """Query text with its prefixes, and the messages, of a ``sh:sparql`` constraint."""
        text = self.value(constraint.value, sh("select"))
        if not isinstance(text, ox.Literal):
            raise UnsupportedShape("sh:sparql without sh:select")
        lines = []
        for holder in self.objects(constraint.value, sh("prefixes")):
            for declaration in self.objects(holder, sh("declare")):
                prefix = self.value(declaration, sh("prefix"))
                namespace = self.value(declaration, sh("namespace"))
                if isinstance(prefix, ox.Literal) and isinstance(namespace, ox.Literal):
                    lines.append(f"PREFIX {prefix.value}: <{namespace.value}>")
        messages = [m for m in self.objects(constraint.value, sh("message")) if isinstance(m, ox.Literal)]
        return "\n".join(sorted(lines)) + "\n" + text.value, tuple(messages)

    def unsupported(self, root: Shape) -> str | None:
        """Why ``root`` cannot be compiled, looking at every shape it uses; None when it can."""
        for shape in self.walk(root):
            if shape.unsupported:
                return f"{shape.name}: {', '.join(shape.unsupported)}"
        return None

    def walk(self, root: Shape) -> Iterator[Shape]:
        """``root`` and all shapes it refers to."""
        seen: set[Term] = set()
        todo: list[Term] = [root.node]
        while todo:
            node = todo.pop()
            if node in seen:
                continue
            seen.add(node)
            shape = self.shape(node)
            yield shape
            todo.extend(shape.properties)
            for c in shape.constraints:
                if c.parameter in ("node", "not"):
                    todo.append(c.value)
                elif c.parameter in ("and", "or", "xone"):
                    todo.extend(c.members)


def shape_files() -> list[Path]:
    """The released shape files and the prefix table their queries use."""
    root = resources.folder("ontology")
    return [*sorted((root / "shapes").rglob("*.ttl")), root / "prefixes.ttl"]


def load_shapes(paths: Iterable[Path] | None = None) -> ShapesGraph:
    """Parse shape files (default: the released ones).

    Raises:
        GraphSyntaxError: a file is not Turtle; file and line are named.
    """
    store = ox.Store()
    for path in shape_files() if paths is None else paths:
        try:
            store.load(path=str(path), format=ox.RdfFormat.TURTLE)
        except SyntaxError as error:
            raise GraphSyntaxError(f"not Turtle: {error.msg}", file=path, line=error.lineno) from error
    return ShapesGraph(store)


@lru_cache(maxsize=1)
def released_shapes() -> ShapesGraph:
    """The shapes shipped with the package, parsed once per process."""
    return load_shapes()

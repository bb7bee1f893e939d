"""How far a change reaches: a query's algebra turned into plans that lead from a changed statement to notations.

For every triple pattern of a query, wherever it stands (in an OPTIONAL, a UNION, a NOT EXISTS, a subquery, a lookup),
the plan keeps the other patterns that must hold in any answer that used it, and drops all that only narrows (FILTER,
VALUES, OPTIONAL beside it).  Followed over old and new statements together, it gives a superset of the notations whose
rows can differ.  What cannot be planned (LIMIT in a query, GRAPH, paths of any length) reaches everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from guqin_kg.dialogue.rows import KEY, View
from guqin_kg.query.binding import prologue

if TYPE_CHECKING:
    from guqin_kg.query.spec import QuerySpec

#: ["iri", text] | ["lit", n-triples] | ["var", name]
Node = tuple[str, str]
#: ("p", iri) | ("any",) | ("^", path) | ("|", path, …) | ("?", path)
Path = tuple[Any, ...]
Pattern = tuple[Node, Path, Node]


class Plan:
    """One changed pattern and what must hold with it.

    Args:
        pattern: as a tuple, or as the lists that were kept.
        context: likewise; most plans are not followed, so it is made of the lists only when it is asked for.
    """

    __slots__ = ("pattern", "raw")

    def __init__(self, pattern: Any, context: Any) -> None:
        self.pattern: Pattern = _tuples(pattern)
        self.raw = context

    @property
    def context(self) -> tuple[Pattern, ...]:
        """The patterns that must hold too."""
        return tuple(_tuples(c) for c in self.raw)


@dataclass
class Reach:
    """All plans of one view."""

    plans: list[Plan] = field(default_factory=list)
    everything: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain lists, for keeping."""
        return {"everything": self.everything, "plans": [[p.pattern, p.raw] for p in self.plans]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Reach:
        """The reverse of ``to_json``."""
        plans = [Plan(p, context) for p, context in data["plans"]]
        return cls(plans, bool(data["everything"]))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


class _UnplannableError(Exception):
    pass


@dataclass(frozen=True)
class _Arm:
    """One way in which a part can have answers: patterns that then hold, and groups that may hold (OPTIONAL)."""

    must: tuple[Pattern, ...] = ()
    maybe: tuple[tuple[Pattern, ...], ...] = ()

    def __and__(self, other: _Arm) -> _Arm:
        return _Arm(self.must + other.must, self.maybe + other.maybe)


@dataclass
class _Part:
    """A part of a query: the ways in which it has answers, and its patterns, each with an arm that holds beside it."""

    arms: list[_Arm] = field(default_factory=lambda: [_Arm()])
    changes: list[tuple[Pattern, _Arm]] = field(default_factory=list)

    def beside(self, arms: list[_Arm]) -> list[tuple[Pattern, _Arm]]:
        return [(pattern, context & arm) for pattern, context in self.changes for arm in arms]


def reach_of(view: View) -> Reach:
    """The plans of ``view``: its query, and each lookup joined to the column it explains."""
    try:
        main = _planned(view.specs[0], "")
        out = [Plan(pattern, arm.must) for pattern, arm in main.changes]
        for (column, _), spec in zip(view.key.lookups, view.specs[1:], strict=True):
            part = _planned(spec, f"{column}/", {KEY: column})
            beside = [_Arm(must) for arm in main.arms for must in _binding(arm, column)]
            out += [Plan(pattern, arm.must) for pattern, arm in part.beside(beside)]
    except _UnplannableError:
        return Reach(everything=True)
    unique = {(p.pattern, p.context): p for p in out}
    return Reach(list(unique.values()))


def _binding(arm: _Arm, column: str) -> list[tuple[Pattern, ...]]:
    """Patterns that hold in rows of ``arm`` in which ``column`` is bound: a lookup has nothing to say about others."""
    if _names(arm.must, column):
        return [arm.must]
    groups = [arm.must + group for group in arm.maybe if _names(group, column)]
    return groups or [arm.must]


def _names(patterns: tuple[Pattern, ...], variable: str) -> bool:
    return any(node == ("var", variable) for s, _, o in patterns for node in (s, o))


def _planned(spec: QuerySpec, prefix: str, same: dict[str, str] | None = None) -> _Part:
    names = {c.name: c.name for c in spec.columns} if same is None else dict(same)
    walk = _Walk(prefix, names)
    return walk.part(_algebra(prologue(spec.text)).p)


@lru_cache(maxsize=256)
def _algebra(text: str) -> Any:
    from rdflib.plugins.sparql import prepareQuery

    return prepareQuery(text).algebra


class _Walk:
    """Turns algebra into parts; variables that are not seen outside get names of their own."""

    def __init__(self, prefix: str, names: dict[str, str]) -> None:
        self.prefix = prefix
        self.names = names
        self.fresh = 0

    def part(self, node: Any) -> _Part:
        """The part of one algebra node."""
        name = getattr(node, "name", None)
        method = getattr(self, f"_{name.lower()}", None) if name else None
        if method is None:
            raise _UnplannableError(name)
        out: _Part = method(node)
        return out

    def _bgp(self, node: Any) -> _Part:
        must: list[Pattern] = []
        for s, p, o in node.triples:
            must += self._triple(self._node(s), p, self._node(o))
        return _Part([_Arm(tuple(must))], [(c, _Arm(tuple(m for m in must if m is not c))) for c in must])

    def _join(self, node: Any) -> _Part:
        a, b = self.part(node.p1), self.part(node.p2)
        return _Part([x & y for x in a.arms for y in b.arms], a.beside(b.arms) + b.beside(a.arms))

    def _leftjoin(self, node: Any) -> _Part:
        a, b = self.part(node.p1), self.part(node.p2)
        optional = _Arm((), tuple(arm.must for arm in b.arms))
        inner = self._tests(node.expr)
        return _Part([arm & optional for arm in a.arms], a.changes + b.beside(a.arms) + inner.beside(a.arms))

    def _union(self, node: Any) -> _Part:
        a, b = self.part(node.p1), self.part(node.p2)
        return _Part(a.arms + b.arms, a.changes + b.changes)

    def _minus(self, node: Any) -> _Part:
        a, b = self.part(node.p1), self.part(node.p2)
        return _Part(a.arms, a.changes + b.beside(a.arms))

    def _filter(self, node: Any) -> _Part:
        a = self.part(node.p)
        return _Part(a.arms, a.changes + self._tests(node.expr).beside(a.arms))

    def _extend(self, node: Any) -> _Part:
        a = self.part(node.p)
        return _Part(a.arms, a.changes + self._tests(node.expr).beside(a.arms))

    def _project(self, node: Any) -> _Part:
        inside = _Walk(f"{self.prefix}{self.fresh}/", {str(v): self._name(str(v)) for v in node.PV})
        self.fresh += 1
        return inside.part(node.p)

    def _inner(self, node: Any) -> _Part:
        return self.part(node.p)

    _distinct = _reduced = _orderby = _aggregatejoin = _group = _inner

    def _tomultiset(self, node: Any) -> _Part:
        inner = node.p
        return _Part() if getattr(inner, "name", None) == "values" else self.part(inner)

    def _values(self, node: Any) -> _Part:
        return _Part()

    def _tests(self, expression: Any) -> _Part:
        """Patterns inside EXISTS and NOT EXISTS of an expression, at any depth."""
        out = _Part()
        todo = [expression]
        while todo:
            one = todo.pop()
            name = getattr(one, "name", None)
            if name in ("Builtin_EXISTS", "Builtin_NOTEXISTS"):
                out.changes += self.part(one.graph).changes
            elif isinstance(one, dict):
                todo += list(one.values())
            elif isinstance(one, (list, tuple)):
                todo += list(one)
        return out

    def _name(self, variable: str) -> str:
        return self.names.setdefault(variable, f"{self.prefix}{variable}")

    def _node(self, term: Any) -> Node:
        from rdflib import BNode, URIRef, Variable

        if isinstance(term, Variable | BNode):
            return ("var", self._name(str(term)))
        return ("iri", str(term)) if isinstance(term, URIRef) else ("lit", term.n3())

    def _triple(self, s: Node, p: Any, o: Node) -> list[Pattern]:
        from rdflib import paths

        if isinstance(p, paths.SequencePath):
            out, at = [], s
            for i, step in enumerate(p.args):
                self.fresh += 1
                to = o if i == len(p.args) - 1 else ("var", f"{self.prefix}path{self.fresh}")
                out += self._triple(at, step, to)
                at = to
            return out
        return [(s, self._path(p), o)]

    def _path(self, p: Any) -> Path:
        from rdflib import URIRef, Variable, paths

        if isinstance(p, URIRef):
            return ("p", str(p))
        if isinstance(p, Variable):
            return ("any",)
        if isinstance(p, paths.InvPath):
            return ("^", self._path(p.arg))
        if isinstance(p, paths.AlternativePath):
            return ("|", *(self._path(a) for a in p.args))
        if isinstance(p, paths.MulPath) and p.mod == "?":
            return ("?", self._path(p.path))
        raise _UnplannableError(str(p))


def predicates(path: Path) -> Iterator[tuple[str | None, bool]]:
    """(predicate, reversed) of every step a path may take; None stands for any predicate."""
    if path[0] == "p":
        yield path[1], False
    elif path[0] == "any":
        yield None, False
    elif path[0] == "^":
        for predicate, reverse in predicates(path[1]):
            yield predicate, not reverse
    else:
        for one in path[1:]:
            yield from predicates(one)

"""Follow changed statements to the notations whose rows they may have altered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from guqin_kg.dialogue.reach import Node, Path, Pattern, Reach, predicates
from guqin_kg.dialogue.rows import NOTATION

if TYPE_CHECKING:
    from pyoxigraph import Store, Triple

#: More bindings than this on the way: every notation is looked at instead.
LIMIT = 200_000
_SAMPLE = 400


@dataclass
class Affected:
    """Notations that a change may reach.

    Attributes:
        notations: IRI to the changed nodes that reach it.
        everything: changed nodes that may reach any notation.
    """

    notations: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    everything: set[str] = field(default_factory=set)


class _TooMuchError(Exception):
    pass


class Union:
    """Old and new statements together: the store as it is, plus what was removed from it."""

    def __init__(self, store: Store, removed: Iterable[Triple]) -> None:
        import pyoxigraph as ox

        self.store = store
        self.graph = ox.DefaultGraph()
        self.by_subject: dict[Any, list[Any]] = defaultdict(list)
        self.by_object: dict[Any, list[Any]] = defaultdict(list)
        self.by_predicate: dict[Any, list[Any]] = defaultdict(list)
        for t in removed:
            self.by_subject[t.subject, t.predicate].append(t)
            self.by_object[t.object, t.predicate].append(t)
            self.by_predicate[t.predicate].append(t)
        self._iris: dict[str, Any] = {}

    def iri(self, text: str) -> Any:
        """An IRI term, made once."""
        import pyoxigraph as ox

        if text not in self._iris:
            self._iris[text] = ox.NamedNode(text)
        return self._iris[text]

    def triples(self, s: Any, p: str, o: Any) -> Iterator[Any]:
        """Statements of either state that match; None is open."""
        predicate = self.iri(p)
        yield from self.store.quads_for_pattern(s, predicate, o, self.graph)
        if s is not None:
            gone = self.by_subject.get((s, predicate), ())
        elif o is not None:
            gone = self.by_object.get((o, predicate), ())
        else:
            gone = self.by_predicate.get(predicate, ())
        for t in gone:
            if o is None or t.object == o:
                yield t

    def pairs(self, s: Any, path: Path, o: Any) -> Iterator[tuple[Any, Any]]:
        """Subject and object pairs that ``path`` joins; at least one end is given.

        Raises:
            _TooMuchError: the path asks for any predicate.
        """
        kind = path[0]
        if kind == "p":
            for t in self.triples(s, path[1], o):
                yield t.subject, t.object
        elif kind == "^":
            for a, b in self.pairs(o, path[1], s):
                yield b, a
        elif kind == "|":
            for one in path[1:]:
                yield from self.pairs(s, one, o)
        elif kind == "?":
            if s is None or o is None or s == o:
                same = s if s is not None else o
                yield same, same
            yield from self.pairs(s, path[1], o)
        else:
            raise _TooMuchError


def affected(reaches: Iterable[Reach], store: Store, added: Iterable[Triple], removed: Iterable[Triple]) -> Affected:
    """Notations reached by a change of the graph, over all views.

    Args:
        reaches: plans of the views (``reach_of``).
        store: the graph after the change.
        added: statements the change added.
        removed: statements the change removed.
    """
    removed = list(removed)
    changed: dict[str, list[Any]] = defaultdict(list)
    every: list[Any] = [*added, *removed]
    for t in every:
        changed[t.predicate.value].append(t)
    union = Union(store, removed)
    out = Affected()
    done: set[tuple[Pattern, tuple[Pattern, ...]]] = set()
    for reach in reaches:
        if reach.everything:
            out.everything |= {t.subject.value for t in every}
            continue
        for plan in reach.plans:
            start = list(_start(plan.pattern, changed, every))
            if not start:
                continue
            context = plan.context
            if (plan.pattern, context) in done:
                continue
            done.add((plan.pattern, context))
            try:
                found = _follow(plan.pattern, context, start, union)
            except _TooMuchError:
                out.everything |= {reason for _, reason in start}
                continue
            for notation, reason in found:
                out.notations[notation].add(reason)
    return out


def _start(pattern: Pattern, changed: dict[str, list[Any]], every: list[Any]) -> Iterator[tuple[tuple[Any, Any], str]]:
    """Changed statements that match the pattern, as (subject end, object end), each with the changed node."""
    s, path, o = pattern
    for predicate, reverse in predicates(path):
        for t in every if predicate is None else changed.get(predicate, ()):
            ends = (t.object, t.subject) if reverse else (t.subject, t.object)
            if _fits(s, ends[0]) and _fits(o, ends[1]):
                yield ends, t.subject.value


def _fits(node: Node, term: Any) -> bool:
    if node[0] == "var":
        return True
    if node[0] == "iri":
        return bool(getattr(term, "datatype", None) is None and term.value == node[1])
    return getattr(term, "datatype", None) is not None


def _follow(
    pattern: Pattern, context: tuple[Pattern, ...], start: list[tuple[tuple[Any, Any], str]], union: Union
) -> set[tuple[str, str]]:
    """(notation, changed node) pairs that the changed statements lead to."""
    reason = "\0reason"
    names = [n[1] for n in (pattern[0], pattern[2]) if n[0] == "var"]
    columns = list(dict.fromkeys(names))
    table: set[tuple[Any, ...]] = set()
    for ends, why in start:
        row: dict[str, Any] = {}
        good = True
        for node, term in ((pattern[0], ends[0]), (pattern[2], ends[1])):
            if node[0] == "var":
                good = good and row.setdefault(node[1], term) == term
        if good:
            table.add((*(row[c] for c in columns), why))
    columns.append(reason)
    left = [c for c in context if c != pattern]
    while left and table:
        bound = set(columns)
        near = [c for c in left if any(n[0] == "var" and n[1] in bound for n in (c[0], c[2]))]
        if not near:
            break
        step = min(near, key=lambda c: _cost(c, columns, table, union))
        left.remove(step)
        needed = {n[1] for c in left for n in (c[0], c[2]) if n[0] == "var"} | {NOTATION, reason}
        columns, table = _step(step, columns, table, union, needed)
    if not table:
        return set()
    if NOTATION not in columns:
        raise _TooMuchError
    at, why_at = columns.index(NOTATION), columns.index(reason)
    return {(row[at].value, row[why_at]) for row in table}


def _terms(pattern: Pattern, columns: list[str], row: tuple[Any, ...], union: Union) -> tuple[Any, Any]:
    out = []
    for node in (pattern[0], pattern[2]):
        if node[0] == "var":
            out.append(row[columns.index(node[1])] if node[1] in columns else None)
        elif node[0] == "iri":
            out.append(union.iri(node[1]))
        else:
            out.append(None)
    return out[0], out[1]


def _cost(pattern: Pattern, columns: list[str], table: set[tuple[Any, ...]], union: Union) -> float:
    """How many bindings a step gives for one row, sampled."""
    row = next(iter(table))
    s, o = _terms(pattern, columns, row, union)
    return sum(1 for _ in islice(union.pairs(s, pattern[1], o), _SAMPLE))


def _step(
    pattern: Pattern, columns: list[str], table: set[tuple[Any, ...]], union: Union, needed: set[str]
) -> tuple[list[str], set[tuple[Any, ...]]]:
    """Join the table with one pattern and keep the columns still needed."""
    fresh = [(i, n[1]) for i, n in enumerate((pattern[0], pattern[2])) if n[0] == "var" and n[1] not in columns]
    new = dict.fromkeys(name for _, name in fresh)
    kept = [i for i, c in enumerate(columns) if c in needed]
    added = [name for name in new if name in needed]
    out: set[tuple[Any, ...]] = set()
    for row in table:
        s, o = _terms(pattern, columns, row, union)
        base = tuple(row[i] for i in kept)
        for ends in union.pairs(s, pattern[1], o):
            values: dict[str, Any] = {}
            if all(values.setdefault(name, ends[i]) == ends[i] for i, name in fresh):
                out.add((*base, *(values[name] for name in added)))
                if not added:
                    break
        if len(out) > LIMIT:
            raise _TooMuchError
    return [columns[i] for i in kept] + added, out

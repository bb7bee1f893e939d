"""The graph's reading rules as an automaton over the recogniser's words: the open vocabulary.

A rule speaks of grammar roles; here each role becomes the base notations that have it and that the model knows. Base
notations written as their parts become the sequence of the parts, because that is what is drawn. The result accepts
every well-formed notation (repetition in the rules is bounded) and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np

from guqin_kg.inventory import BaseNotation, Inventory
from guqin_kg.notation.pattern import Alt, Node, Rep, Seq, Term
from guqin_kg.recognise.automaton import Automaton

TokensOf = Callable[[Term], list[tuple[int, ...]]]


def drawn_parts(base: BaseNotation, inventory: Inventory) -> tuple[str, ...]:
    """Ids of the base notations that are drawn for ``base``: itself, or its parts when it is written as these."""
    if not base.written_as_parts:
        return (base.id,)
    return tuple(part for step in base.steps for part in drawn_parts(inventory.by_id[step], inventory))


def compile_rules(rules: Iterable[Node], tokens_of: TokensOf, tokens: int) -> Automaton:
    """One deterministic, minimal automaton for the union of ``rules``.

    Args:
        rules: pattern trees.
        tokens_of: words of a term, as token sequences.
        tokens: size of the vocabulary.
    """
    machine = _Nondeterministic(tokens_of)
    ends = []
    for rule in rules:
        end = machine.add(rule, 0)
        if end is not None:
            ends.append(end)
    classes = machine.classes()
    small = _minimal(*machine.determine(ends, classes))
    table = np.full((len(small.table), tokens), -1, np.int32)
    for number, group in enumerate(classes):
        table[:, group] = small.table[:, [number]]
    return Automaton(table, small.accepting)


class _Nondeterministic:
    """Thompson's construction; state 0 is the start. A term without words closes its path (None)."""

    def __init__(self, tokens_of: TokensOf) -> None:
        self.tokens_of = tokens_of
        self.free: list[set[int]] = [set()]
        self.edges: list[list[tuple[int, int]]] = [[]]
        self._words: dict[Term, list[tuple[int, ...]]] = {}

    def state(self) -> int:
        self.free.append(set())
        self.edges.append([])
        return len(self.free) - 1

    def add(self, node: Node, start: int) -> int | None:
        if isinstance(node, Term):
            words = self._words.setdefault(node, self.tokens_of(node))
            if not words:
                return None
            end = self.state()
            for word in words:
                at = start
                for token in word[:-1]:
                    step = self.state()
                    self.edges[at].append((token, step))
                    at = step
                self.edges[at].append((word[-1], end))
            return end
        if isinstance(node, Seq):
            reached = start
            for item in node.items:
                following = self.add(item, reached)
                if following is None:
                    return None
                reached = following
            return reached
        if isinstance(node, Alt):
            arms = [arm for item in node.items if (arm := self.add(item, start)) is not None]
            return self._joined(arms)
        if isinstance(node, Rep):
            stops, reached = [start] if node.low == 0 else [], start
            for count in range(1, node.high + 1):
                following = self.add(node.item, reached)
                if following is None:
                    break
                reached = following
                if count >= node.low:
                    stops.append(reached)
            return self._joined(stops)
        return self.add(node.item, start)

    def _joined(self, states: list[int]) -> int | None:
        if not states:
            return None
        end = self.state()
        for state in states:
            self.free[state].add(end)
        return end

    def classes(self) -> list[list[int]]:
        """Tokens that label the same edges throughout behave alike: groups of them."""
        places: dict[int, set[tuple[int, int]]] = defaultdict(set)
        for state, row in enumerate(self.edges):
            for token, target in row:
                places[token].add((state, target))
        groups: dict[frozenset[tuple[int, int]], list[int]] = defaultdict(list)
        for token in sorted(places):
            groups[frozenset(places[token])].append(token)
        return list(groups.values())

    def _closures(self) -> list[int]:
        """Per state the bit set of states reached without reading."""
        out = [0] * len(self.free)
        for state in range(len(self.free)):
            seen, queue = {state}, [state]
            while queue:
                for following in self.free[queue.pop()] - seen:
                    seen.add(following)
                    queue.append(following)
            out[state] = sum(1 << member for member in seen)
        return out

    def determine(self, ends: list[int], classes: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Subset construction on bit sets: table ``(states + 1, classes)``, the last state dead, and ends."""
        closure = self._closures()
        of_token = {group[0]: number for number, group in enumerate(classes)}
        steps: list[dict[int, int]] = []
        for row in self.edges:
            out: dict[int, int] = {}
            for token, target in row:
                if token in of_token:
                    out[of_token[token]] = out.get(of_token[token], 0) | closure[target]
            steps.append(out)
        active = sum(1 << state for state, row in enumerate(steps) if row)
        wanted = sum(1 << end for end in ends)
        number = {closure[0]: 0}
        order = [closure[0]]
        rows: list[dict[int, int]] = []
        for group in order:
            reached: dict[int, int] = {}
            rest = group & active
            while rest:
                low = rest & -rest
                for label, targets in steps[low.bit_length() - 1].items():
                    reached[label] = reached.get(label, 0) | targets
                rest ^= low
            for label, targets in reached.items():
                if targets not in number:
                    number[targets] = len(number)
                    order.append(targets)
                reached[label] = number[targets]
            rows.append(reached)
        table = np.full((len(rows) + 1, len(classes)), len(rows), np.int64)
        for state, found in enumerate(rows):
            table[state, list(found)] = list(found.values())
        return table, np.array([bool(group & wanted) for group in order] + [False])


def _minimal(table: np.ndarray, accepting: np.ndarray) -> Automaton:
    """Moore's partition refinement, then only the states from which an end can be reached."""
    random = np.random.default_rng(1).integers(1, 2**63, (table.shape[1] + 1, len(table)), np.uint64)
    kind = accepting.astype(np.int64)
    while True:
        # a random sum of where each label leads stands for the row: equal rows, equal sums
        mark = random[-1][kind]
        for label in range(table.shape[1]):
            mark = mark + random[label][kind[table[:, label]]]
        _, refined = np.unique(mark, return_inverse=True)
        if refined.max() == kind.max():
            break
        kind = refined
    dead = kind[-1]
    names = {int(kind[0]): 0}
    chosen = [0]
    for state in range(len(table) - 1):
        if kind[state] != dead and int(kind[state]) not in names:
            names[int(kind[state])] = len(chosen)
            chosen.append(state)
    to = np.full(kind.max() + 1, -1, np.int32)
    for old, new in names.items():
        to[old] = new
    return Automaton(to[kind[table[chosen]]], accepting[chosen])

"""Which token may follow which: a deterministic automaton over the vocabulary.

Built either from the graph's reading rules (open vocabulary: every well-formed notation) or from a list of readings
(a book's lexicon). Small enough to be a dense table: one row a state, one column a token, -1 where nothing may follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Automaton:
    """``table`` int32 ``(states, tokens)``, -1 = not allowed; ``accepting`` bool ``(states,)``; ``start`` a state."""

    table: np.ndarray
    accepting: np.ndarray
    start: int = 0

    def accepts(self, tokens: Sequence[int]) -> bool:
        """Whether the whole sequence is allowed."""
        state = self.start
        for token in tokens:
            state = int(self.table[state, token])
            if state < 0:
                return False
        return bool(self.accepting[state])


def from_sequences(sequences: Iterable[Sequence[int]], tokens: int) -> Automaton:
    """The minimal automaton of a finite list of token sequences.

    Args:
        sequences: token indices, without begin and end.
        tokens: size of the vocabulary.
    """
    # Daciuk's construction needs sorted input: states of finished branches are shared as soon as they are left.
    edges: list[dict[int, int]] = [{}]
    final: list[bool] = [False]
    register: dict[tuple[bool, tuple[tuple[int, int], ...]], int] = {}
    path: list[tuple[int, int, int]] = []

    def settle(depth: int) -> None:
        while len(path) > depth:
            parent, label, child = path.pop()
            key = (final[child], tuple(sorted(edges[child].items())))
            edges[parent][label] = register.setdefault(key, child)

    before: tuple[int, ...] = ()
    for sequence in sorted({tuple(s) for s in sequences}):
        common = 0
        while common < min(len(before), len(sequence)) and before[common] == sequence[common]:
            common += 1
        settle(common)
        state = path[-1][2] if path else 0
        for label in sequence[common:]:
            edges.append({})
            final.append(False)
            child = len(edges) - 1
            edges[state][label] = child
            path.append((state, label, child))
            state = child
        final[state] = True
        before = sequence
    settle(0)
    return _dense(edges, final, tokens)


def _dense(edges: Sequence[dict[int, int]], final: Sequence[bool], tokens: int) -> Automaton:
    number = {0: 0}
    queue = [0]
    for state in queue:
        for child in edges[state].values():
            if child not in number:
                number[child] = len(number)
                queue.append(child)
    table = np.full((len(queue), tokens), -1, np.int32)
    accepting = np.zeros(len(queue), bool)
    for state in queue:
        accepting[number[state]] = final[state]
        for label, child in edges[state].items():
            table[number[state], label] = number[child]
    return Automaton(table, accepting)

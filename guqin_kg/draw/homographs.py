"""Different notations that are written the same: the graph gives their words one sign, so no picture tells which it is.

A plucked figure and the same one on two strings may share their sign in the handbooks; which is meant is known from the
piece. Whoever asks a model what a picture says must know of them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from itertools import islice, product

from guqin_kg.draw.engine import Engine, default_engine
from guqin_kg.draw.layout import LayoutBuilder, MissingFormError, Node
from guqin_kg.errors import DataError, ReadingError
from guqin_kg.inventory import BaseNotation
from guqin_kg.model import Notation
from guqin_kg.notation.components import parts
from guqin_kg.notation.format import short_reading
from guqin_kg.notation.parse import parse

_TRIED = 64
"""Combinations of words that are tried for one notation."""


class Homographs:
    """Finds notations that are drawn alike, each word in its preferred form.

    Args:
        engine: of a graph (default: the released one).
    """

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine or default_engine()
        self._grammar = self._engine.grammar

    def of(self, notation: Notation) -> list[str]:
        """Readings of the other notations that are written as ``notation`` is; none where it cannot be drawn."""
        words = self._words(notation)
        choices = [[word, *self._alike.get(word.id, ())] for word in words]
        if all(len(some) == 1 for some in choices):
            return []
        drawn = self._drawn(notation)
        if drawn is None:
            return []
        found = {}
        for others in islice(product(*choices), 1, 1 + _TRIED):
            try:
                other = parse("".join(word.name for word in others), self._grammar)
            except ReadingError:
                continue
            if self._words(other) == list(others) and self._drawn(other) == drawn:
                found[short_reading(other, self._grammar)] = other
        return [reading for reading, other in found.items() if other != notation]

    def _words(self, notation: Notation) -> list[BaseNotation]:
        return [word for part in parts(notation, self._grammar) for word in part.bases]

    @cached_property
    def _alike(self) -> dict[str, list[BaseNotation]]:
        """Base notation to those of other names that have its preferred form."""
        builder = LayoutBuilder(self._grammar)
        groups: dict[Node, list[BaseNotation]] = {}
        for word in self._grammar.inventory.bases:
            try:
                form = builder.closed(word, -1, {})
            except DataError:  # no written form
                continue
            groups.setdefault(_bare(self._engine.outlines.expand(form), roles=False), []).append(word)
        return {w.id: [o for o in some if o.name != w.name] for some in groups.values() for w in some}

    def _drawn(self, notation: Notation) -> Node | None:
        try:
            return _bare(self._engine.outlines.expand(self._engine.layout(notation).tree))
        except MissingFormError:
            return None


def _bare(node: Node, roles: bool = True) -> Node:
    """What is drawn of a tree: not which component it belongs to."""
    children = tuple(_bare(child, roles) for child in node.children)
    return replace(node, part=-1, role=node.role if roles else None, children=children)

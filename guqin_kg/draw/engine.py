"""Outlines, templates and grammar of one graph, and the notations prepared from them for any specification."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from guqin_kg.draw.character import Ink
from guqin_kg.draw.compose import Composer
from guqin_kg.draw.layout import Layout, LayoutBuilder, Node
from guqin_kg.draw.outlines import Outlines
from guqin_kg.draw.polygons import Batch, Geometry, polygons
from guqin_kg.draw.prepared import Prepared
from guqin_kg.draw.spec import MOST_ROWS, Spec
from guqin_kg.draw.strokes import Brush
from guqin_kg.draw.styles import Style, style
from guqin_kg.model import Notation
from guqin_kg.notation.components import parts
from guqin_kg.notation.grammar import Grammar, default_grammar

_KEPT = 1024
Forms = tuple[tuple[str, int], ...]


class Engine:
    """Outlines, templates and grammar of one graph, with what has been prepared so far.

    Args:
        grammar: compiled grammar whose inventory is drawn (default: the released graph).
    """

    def __init__(self, grammar: Grammar | None = None) -> None:
        self.grammar = grammar or default_grammar()
        self.inventory = self.grammar.inventory
        self.outlines = Outlines(self.inventory)
        self.composer = Composer(self.inventory, self._density)
        self._builders = {c: LayoutBuilder(self.grammar, columns=c) for c in range(MOST_ROWS + 1)}
        self._prepared: OrderedDict[tuple[Any, ...], Prepared] = OrderedDict()
        self._density_of: Callable[[Node], Ink] | None = None
        self._counts: dict[Notation, dict[str, int]] = {}

    def layout(self, notation: Notation, forms: Forms = (), *, columns: int = 1) -> Layout:
        """Tree and components of a notation.

        Raises:
            MissingFormError: a component has no written form.
        """
        return self._builders[columns].build(notation, dict(forms))

    def form_counts(self, notation: Notation) -> dict[str, int]:
        """How many written forms each base notation drawn in ``notation`` has."""
        found = self._counts.get(notation)
        if found is None:
            builder = self._builders[1]
            bases = {base.id: base for part in parts(notation, self.grammar) for base in part.bases}
            found = {name: len(builder.forms(base)) for name, base in bases.items()}
            if len(self._counts) >= _KEPT:
                self._counts.clear()
            self._counts[notation] = found
        return found

    def _density(self, leaf: Node) -> tuple[float, float, float]:
        assert self._density_of is not None
        ink = self._density_of(leaf)
        return ink.rows, ink.columns, ink.height

    def prepare(self, notation: Notation, style_name: str, forms: Forms, columns: int) -> Prepared:
        """Outlines and templates of a notation in a style (kept for the next picture).

        Raises:
            MissingFormError, MissingOutlineError: name the component.
            NotFoundError: the style's font is not installed.
        """
        key = (notation, style_name, forms, columns)
        found = self._prepared.get(key)
        if found is not None:
            self._prepared.move_to_end(key)
            return found
        chosen = style(style_name)
        if chosen.bundled:  # the same centre lines under another brush
            general = (notation, "", forms, columns)
            other = self._prepared.get(general)
            if other is None:
                other = self._keep(general, self._prepare(notation, chosen, forms, columns))
            return self._keep(key, self._brushed(other, chosen))
        return self._keep(key, self._prepare(notation, chosen, forms, columns))

    def _keep(self, key: tuple[Any, ...], prepared: Prepared) -> Prepared:
        self._prepared[key] = prepared
        if len(self._prepared) > _KEPT:
            self._prepared.popitem(last=False)
        return prepared

    def _brushed(self, prepared: Prepared, chosen: Style) -> Prepared:
        if prepared.style is chosen:
            return prepared
        inks = [self.outlines.ink(leaf, chosen.brush, None, leaf.char) for leaf in prepared.program.leaves]
        points = prepared.points.copy()
        points[2] = np.concatenate([ink.weight for ink in inks])
        return replace(prepared, style=chosen, points=points)

    def _prepare(self, notation: Notation, chosen: Style, forms: Forms, columns: int) -> Prepared:
        font = chosen.font()
        layout = self.layout(notation, forms, columns=columns)
        names = [part.name for part in layout.parts]
        brush: Brush = chosen.brush

        def ink_of(leaf: Node) -> Ink:
            return self.outlines.ink(leaf, brush, font, names[leaf.part] if leaf.part >= 0 else leaf.char)

        self._density_of = ink_of
        program = self.composer.program(self.outlines.expand(layout.tree, font))
        inks = [ink_of(leaf) for leaf in program.leaves]
        offset = 0
        lines: list[tuple[int, int, int, bool, bool]] = []
        before, after = [], []
        for i, ink in enumerate(inks):
            lines += [
                (a + offset, b + offset, i, ink.contour, h) for (a, b), h in zip(ink.lines, ink.holes, strict=True)
            ]
            before.append(ink.before + offset)
            after.append(ink.after + offset)
            offset += len(ink.points)
        walk, polygons, leaf_first = _walk(lines)
        lengths = [len(ink.points) for ink in inks]
        weight = np.concatenate([ink.weight for ink in inks])
        contour = np.repeat([ink.contour for ink in inks], lengths)
        return Prepared(
            layout=layout,
            program=program,
            style=chosen,
            points=np.vstack([*np.concatenate([ink.points for ink in inks]).T, weight, contour]).astype(np.float64),
            index=np.vstack(
                [
                    np.repeat(np.arange(len(inks)), lengths),
                    np.repeat(np.arange(len(lines)), [b - a for a, b, *_ in lines]),
                    np.concatenate(before),
                    np.concatenate(after),
                ]
            ),
            leaves=np.array([[ink.rows + 0.3, ink.columns + 0.3, ink.natural] for ink in inks]).T.copy(),
            ends=np.array([(a, b - 1) for a, b, *_ in lines]).T.copy(),
            walk=walk,
            leaf_first=leaf_first,
            polygons=polygons,
            part=tuple(node.part for node in program.leaves),
        )

    def geometry(self, spec: Spec) -> Geometry:
        """The polygons of a picture.

        Raises:
            MissingFormError, MissingOutlineError, NotFoundError: as :meth:`prepare`.
        """
        return self.geometries([spec]).pictures[0]

    def geometries(self, specs: Sequence[Spec]) -> Batch:
        """The polygons of many pictures; each is the same as if it were drawn alone.

        Raises:
            MissingFormError, MissingOutlineError, NotFoundError: as :meth:`prepare`.
        """
        return polygons(specs, [self.prepare(s.notation, s.style, s.forms, s.columns) for s in specs])


def _walk(
    lines: list[tuple[int, int, int, bool, bool]],
) -> tuple[np.ndarray, list[tuple[int, int, int, bool]], np.ndarray]:
    """The order in which polygons visit the two sides of the lines and their ends."""
    sides: list[np.ndarray] = []
    order: list[np.ndarray] = []
    polygons = []
    firsts: list[int] = []
    at = 0
    for i, (a, b, leaf, contour, hole) in enumerate(lines):
        n = b - a
        if contour:
            side, walk = np.zeros(n, np.int64), np.arange(a, b)
        else:
            side = np.repeat([2, 0, 3, 1], [1, n, 1, n])
            walk = np.concatenate([[i], np.arange(a, b), [i], np.arange(b - 1, a - 1, -1)])
        if len(firsts) <= leaf:
            firsts.append(at)
        sides.append(side)
        order.append(walk)
        polygons.append((at, at + len(walk), leaf, hole))
        at += len(walk)
    return np.vstack([np.concatenate(sides), np.concatenate(order)]), polygons, np.array([firsts])


@cache
def default_engine() -> Engine:
    """The engine of the released graph, made once in a process."""
    return Engine()

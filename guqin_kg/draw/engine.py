"""From a specification to polygons: outlines placed by the layout, shaken by the hand, weighted by the brush.

Both the raster and the vector output use :class:`Geometry`, so they show the same glyph.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from guqin_kg.draw.compose import Composer, Program
from guqin_kg.draw.layout import Layout, LayoutBuilder, Node
from guqin_kg.draw.outlines import Ink, Outlines
from guqin_kg.draw.spec import Spec
from guqin_kg.draw.strokes import Brush
from guqin_kg.draw.styles import Style, style
from guqin_kg.model import Notation
from guqin_kg.notation.components import parts
from guqin_kg.notation.grammar import Grammar, default_grammar

_KEPT = 1024
Forms = tuple[tuple[str, int], ...]


@dataclass(slots=True, eq=False)
class Prepared:
    """A notation in one style, ready for any specification: all leaves' points in one array."""

    layout: Layout
    program: Program
    style: Style
    x: np.ndarray
    y: np.ndarray
    leaf: np.ndarray
    stroke: np.ndarray
    before: np.ndarray
    after: np.ndarray
    weight: np.ndarray
    contour: np.ndarray
    any_contour: bool
    strokes: int
    starts: np.ndarray
    stops: np.ndarray
    """First and last point of each stroke or contour."""
    order: np.ndarray
    """Indices into ``[one side, other side, heads, tails]`` that walk round all polygons."""
    polygons: list[tuple[int, int, int, bool]]
    """``(first, last + 1, leaf, hole)`` in the walk of ``order``."""
    leaf_first: np.ndarray
    """Where each leaf begins in the walk."""
    rows: np.ndarray
    columns: np.ndarray
    natural: np.ndarray
    part: tuple[int, ...]


@dataclass(slots=True, eq=False)
class Geometry:
    """Polygons of one picture in pixels of its native resolution.

    Attributes:
        width, height: of the native picture.
        points: ``(2, N)``, all polygons one after the other.
        thickness: stroke width in pixels.
        scale: pixels of the finished picture for one native pixel.
        prepared: whose ``polygons`` cut ``points`` into polygons and ``part`` names the component of a leaf.
        rng: what is left of the picture's chance, for the paper.
    """

    width: int
    height: int
    points: np.ndarray
    thickness: float
    scale: float
    prepared: Prepared
    rng: np.random.Generator

    def leaves(self) -> list[tuple[int, list[tuple[np.ndarray, bool]]]]:
        """For each leaf its component and its polygons ``(points (n, 2), is_hole)`` in drawing order."""
        out: list[tuple[int, list[tuple[np.ndarray, bool]]]] = [(part, []) for part in self.prepared.part]
        for first, last, leaf, hole in self.prepared.polygons:
            out[leaf][1].append((self.points[:, first:last].T, hole))
        return out


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
        self._builders = {c: LayoutBuilder(self.grammar, columns=c) for c in (True, False)}
        self._prepared: OrderedDict[tuple[Any, ...], Prepared] = OrderedDict()
        self._density_of: Callable[[Node], Ink] | None = None
        self._counts: dict[Notation, dict[str, int]] = {}

    def layout(self, notation: Notation, forms: Forms = (), *, columns: bool = True) -> Layout:
        """Tree and components of a notation.

        Raises:
            MissingFormError: a component has no written form.
        """
        return self._builders[columns].build(notation, dict(forms))

    def form_counts(self, notation: Notation) -> dict[str, int]:
        """How many written forms each base notation drawn in ``notation`` has."""
        found = self._counts.get(notation)
        if found is None:
            builder = self._builders[True]
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

    def prepare(self, notation: Notation, style_name: str, forms: Forms, columns: bool) -> Prepared:
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
        weight = np.concatenate([ink.weight for ink in inks]).astype(np.float64)
        return replace(prepared, style=chosen, weight=weight)

    def _prepare(self, notation: Notation, chosen: Style, forms: Forms, columns: bool) -> Prepared:
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
        order, polygons, leaf_first = _walk(lines, offset)
        lengths = [len(ink.points) for ink in inks]
        return Prepared(
            layout=layout,
            program=program,
            style=chosen,
            x=np.concatenate([ink.points[:, 0] for ink in inks]).astype(np.float64),
            y=np.concatenate([ink.points[:, 1] for ink in inks]).astype(np.float64),
            leaf=np.repeat(np.arange(len(inks)), lengths),
            stroke=np.repeat(np.arange(len(lines)), [b - a for a, b, *_ in lines]),
            before=np.concatenate(before),
            after=np.concatenate(after),
            weight=np.concatenate([ink.weight for ink in inks]).astype(np.float64),
            contour=np.repeat([ink.contour for ink in inks], lengths),
            any_contour=any(ink.contour for ink in inks),
            strokes=len(lines),
            starts=np.array([a for a, *_ in lines]),
            stops=np.array([line[1] - 1 for line in lines]),
            order=order,
            polygons=polygons,
            leaf_first=leaf_first,
            rows=np.array([ink.rows for ink in inks]) + 0.3,
            columns=np.array([ink.columns for ink in inks]) + 0.3,
            natural=np.array([ink.natural for ink in inks]),
            part=tuple(node.part for node in program.leaves),
        )

    def geometry(self, spec: Spec) -> Geometry:
        """The polygons of a picture.

        Raises:
            MissingFormError, MissingOutlineError, NotFoundError: as :meth:`prepare`.
        """
        p = self.prepare(spec.notation, spec.style, spec.forms, spec.columns)
        rng = np.random.Generator(np.random.Philox(key=spec.seed))
        numbers = p.program.numbers
        random = rng.standard_normal(numbers + 3 * p.strokes) if spec.jitter or spec.shift or spec.uneven else None
        noise = (random[:numbers] * spec.jitter).tolist() if random is not None and spec.jitter else ()
        boxes = np.array(self.composer.run(p.program, prints=spec.prints, noise=noise, loose=spec.looseness)).T
        widest = 1.35 if len(p.part) > 1 else 3.0
        aspect = min(widest, max(0.5, spec.aspect / p.program.root.height))
        em = aspect**0.5
        left, top = boxes[0] * aspect, boxes[1]
        width = np.maximum((boxes[2] - boxes[0]) * aspect, 0.02)
        height = np.maximum(boxes[3] - top, 0.02)
        x = left.take(p.leaf) + p.x * width.take(p.leaf)
        y = top.take(p.leaf) + p.y * height.take(p.leaf)
        if spec.shift and random is not None:
            moved = random[numbers : numbers + 2 * p.strokes] * (spec.shift * em)
            x += moved[: p.strokes].take(p.stroke)
            y += moved[p.strokes :].take(p.stroke)
        if spec.wobble:
            wave = rng.random(6).tolist()
            for i in (0, 3):
                phase = x * (12 * wave[i] - 6) + y * (12 * wave[i + 1] - 6) + 6.2832 * wave[i + 2]
                x += np.sin(phase) * (spec.wobble * em)
                y += np.cos(phase) * (spec.wobble * em)
        if spec.slant or spec.turn:
            c, s = math.cos(math.radians(spec.turn)), math.sin(math.radians(spec.turn))
            x, y = x * c - y * (spec.slant + s), x * s + y * c
        whole = p.style.weight * spec.weight * em
        half = self._half_widths(p, width, height, whole, em)
        if spec.uneven and random is not None:
            half *= np.exp(random[numbers + 2 * p.strokes :] * spec.uneven).take(p.stroke)
        if spec.rough:
            grain = rng.standard_normal(len(half)) * spec.rough
            rough = half * (1 + grain)
            half = np.where(p.contour, half + grain * 0.15 * whole, rough) if p.any_contour else rough
        outline = _outline(p, x, y, half)
        return _framed(spec, p, outline, whole, rng)

    @staticmethod
    def _half_widths(p: Prepared, width: np.ndarray, height: np.ndarray, whole: float, em: float) -> np.ndarray:
        """Half stroke widths at all points: small slots keep nearly the weight of the whole, dense ones give way."""
        root = np.sqrt(width * height)
        room = np.maximum(0.58 * np.minimum(height / p.rows, width / p.columns), 0.45 * whole)
        wanted = np.minimum(whole * np.minimum(1.0, root / em) ** 0.2, room)
        half = p.weight * (0.5 * wanted).take(p.leaf)
        if p.any_contour:
            own = p.natural * root
            fill = np.clip(0.5 * (wanted - own), -0.3 * own, 0.6 * wanted)
            half = np.where(p.contour, -p.weight * fill.take(p.leaf), half)
        return half


def _framed(spec: Spec, p: Prepared, outline: np.ndarray, whole: float, rng: np.random.Generator) -> Geometry:
    """Scale and move the outline ``(2, N)`` into the frame of the picture."""
    x, y = outline
    x0, y0 = float(x.min()), float(y.min())
    wide, tall = float(x.max()) - x0, float(y.max()) - y0
    native = spec.resolution or spec.size
    left, top, right, bottom = spec.margins
    longer = max(wide, tall)
    # cuts are shares of the side they cut, borders of the longer side
    left, right = (v * (longer if v > 0 else wide) for v in (left, right))
    top, bottom = (v * (longer if v > 0 else tall) for v in (top, bottom))
    wide, tall = wide + left + right, tall + top + bottom
    scale = native / max(wide, tall)
    if spec.frame == "square":
        width = height = native
        dx, dy = (native - wide * scale) / 2, (native - tall * scale) / 2
    else:
        width, height = max(4, round(wide * scale)), max(4, round(tall * scale))
        dx = dy = 0.0
    outline *= scale
    x += dx + (left - x0) * scale
    y += dy + (top - y0) * scale
    return Geometry(width, height, outline, whole * scale, spec.size / native, p, rng)


def _walk(
    lines: list[tuple[int, int, int, bool, bool]], total: int
) -> tuple[np.ndarray, list[tuple[int, int, int, bool]], np.ndarray]:
    """The order in which polygons visit the two sides of the lines and their ends."""
    order: list[np.ndarray] = []
    polygons = []
    firsts: list[int] = []
    at = 0
    for i, (a, b, leaf, contour, hole) in enumerate(lines):
        if contour:
            walk = np.arange(a, b)
        else:
            walk = np.concatenate(
                [[2 * total + i], np.arange(a, b), [2 * total + len(lines) + i], total + np.arange(b - 1, a - 1, -1)]
            )
        if len(firsts) <= leaf:
            firsts.append(at)
        order.append(walk)
        polygons.append((at, at + len(walk), leaf, hole))
        at += len(walk)
    return np.concatenate(order), polygons, np.array(firsts)


def _outline(p: Prepared, x: np.ndarray, y: np.ndarray, half: np.ndarray) -> np.ndarray:
    """All polygons ``(2, N)``, one after the other: centre lines widened to both sides, contours moved outwards."""
    bx, by = x.take(p.before), y.take(p.before)
    ax, ay = x.take(p.after) - bx, y.take(p.after) - by
    length = 1.0 / np.sqrt(np.maximum(ax * ax + ay * ay, 1e-18))
    ax *= length
    ay *= length
    bx, by = x - bx, y - by
    # a mitre keeps the weight in corners
    miss = by * ax - bx * ay
    miss *= miss
    miss /= np.maximum(bx * bx + by * by, 1e-12)
    reach = half / np.sqrt(np.maximum(0.45, 1.0 - miss))
    sx, sy = -ay * reach, ax * reach
    cap = half * p.style.brush.cap
    ax *= cap
    ay *= cap
    first, last = p.starts, p.stops
    points = np.empty((2, 2 * len(x) + 2 * p.strokes))
    n, m = len(x), 2 * len(x) + p.strokes
    for row, v, s, a in ((points[0], x, sx, ax), (points[1], y, sy, ay)):
        np.add(v, s, out=row[:n])
        np.subtract(v, s, out=row[n : 2 * n])
        np.subtract(v.take(first), a.take(first), out=row[2 * n : m])
        np.add(v.take(last), a.take(last), out=row[m:])
    return points.take(p.order, axis=1)


@cache
def default_engine() -> Engine:
    """The engine of the released graph, made once in a process."""
    return Engine()

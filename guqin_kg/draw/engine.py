"""From a specification to polygons: outlines placed by the layout, shaken by the hand, weighted by the brush.

Both the raster and the vector output use :class:`Geometry`, so they show the same glyph.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
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
from guqin_kg.notation.grammar import Grammar, default_grammar

_KEPT = 4096


@dataclass(slots=True, eq=False)
class Prepared:
    """A notation in one style, ready for any specification: all leaves' points in one array."""

    layout: Layout
    program: Program
    style: Style
    points: np.ndarray
    leaf: np.ndarray
    stroke: np.ndarray
    before: np.ndarray
    after: np.ndarray
    weight: np.ndarray
    contour: np.ndarray
    any_contour: bool
    lines: list[tuple[int, int, int, bool, bool]]
    """``(first, last + 1, leaf, contour, hole)`` of each stroke or contour."""
    ends: np.ndarray
    """First and last points of the centre lines, ``(n, 2)`` indices, in the order of ``lines``."""
    rows: np.ndarray
    columns: np.ndarray
    natural: np.ndarray
    part: tuple[int, ...]


@dataclass(slots=True, eq=False)
class Geometry:
    """Polygons of one picture in pixels of its native resolution.

    Attributes:
        width, height: of the native picture.
        leaves: for each leaf its component and its polygons ``(points (n, 2), is_hole)`` in drawing order.
        thickness: stroke width in pixels.
        scale: pixels of the finished picture for one native pixel.
    """

    width: int
    height: int
    leaves: list[tuple[int, list[tuple[np.ndarray, bool]]]]
    thickness: float
    scale: float
    prepared: Prepared


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

    def layout(self, notation: Notation, forms: tuple[tuple[str, int], ...] = (), *, columns: bool = True) -> Layout:
        """Tree and components of a notation.

        Raises:
            MissingFormError: a component has no written form.
        """
        return self._builders[columns].build(notation, dict(forms))

    def form_counts(self, notation: Notation) -> dict[str, int]:
        """How many written forms each base notation drawn in ``notation`` has."""
        builder = self._builders[True]
        return {
            base.id: len(builder.forms(base))
            for part in self.layout(notation).parts
            for base in part.bases
        }  # fmt: skip

    def _density(self, leaf: Node) -> tuple[float, float, float]:
        assert self._density_of is not None
        ink = self._density_of(leaf)
        return ink.rows, ink.columns, ink.height

    def prepare(
        self, notation: Notation, style_name: str, forms: tuple[tuple[str, int], ...], columns: bool
    ) -> Prepared:
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
        found = self._prepare(notation, style(style_name), forms, columns)
        self._prepared[key] = found
        if len(self._prepared) > _KEPT:
            self._prepared.popitem(last=False)
        return found

    def _prepare(
        self, notation: Notation, chosen: Style, forms: tuple[tuple[str, int], ...], columns: bool
    ) -> Prepared:
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
        lengths = [len(ink.points) for ink in inks]
        leaf = np.repeat(np.arange(len(inks)), lengths)
        return Prepared(
            layout=layout,
            program=program,
            style=chosen,
            points=np.vstack([ink.points for ink in inks]).astype(np.float64),
            leaf=leaf,
            stroke=np.repeat(np.arange(len(lines)), [b - a for a, b, *_ in lines]),
            before=np.concatenate(before),
            after=np.concatenate(after),
            weight=np.concatenate([ink.weight for ink in inks]).astype(np.float64),
            contour=np.repeat([ink.contour for ink in inks], lengths),
            any_contour=any(ink.contour for ink in inks),
            lines=lines,
            ends=np.array([(a, b - 1) for a, b, *_ in lines]),
            rows=np.array([ink.rows for ink in inks]),
            columns=np.array([ink.columns for ink in inks]),
            natural=np.array([ink.natural for ink in inks]),
            part=tuple(node.part for node in program.leaves),
        )

    def geometry(self, spec: Spec) -> Geometry:
        """The polygons of a picture.

        Raises:
            MissingFormError, MissingOutlineError, NotFoundError: as :meth:`prepare`.
        """
        p = self.prepare(spec.notation, spec.style, spec.forms, spec.columns)
        rng = np.random.Generator(np.random.PCG64(spec.seed))
        noise = (rng.standard_normal(p.program.numbers) * spec.jitter).tolist() if spec.jitter else ()
        boxes = np.array(self.composer.run(p.program, prints=spec.prints, noise=noise, loose=spec.looseness))
        tall = p.program.root.height
        widest = 1.35 if len(p.part) > 1 else 3.0
        aspect = min(widest, max(0.5, spec.aspect / tall))
        boxes[:, 0::2] *= aspect
        size = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.02)
        at = boxes[:, :2][p.leaf] + p.points * size[p.leaf]
        em = (aspect) ** 0.5
        if spec.shift:
            at += (rng.standard_normal((len(p.lines), 2)) * (spec.shift * em))[p.stroke]
        if spec.wobble:
            wave = rng.random((3, 3))
            phase = at @ (14.0 * (wave[:, :2] - 0.5)).T + 6.283 * wave[:, 2]
            at[:, 0] += np.sin(phase).sum(1) * (spec.wobble * em)
            at[:, 1] += np.cos(phase * 1.3).sum(1) * (spec.wobble * em)
        if spec.slant or spec.turn:
            angle = np.radians(spec.turn)
            c, s = np.cos(angle), np.sin(angle)
            at = at @ np.array([[c, s], [-spec.slant - s, c]])
        # weight: heavier slots keep nearly the weight of the whole, dense slots give way
        root = np.sqrt(size[:, 0] * size[:, 1])
        whole = p.style.weight * spec.weight * em
        room = 0.58 * np.minimum(size[:, 1] / (p.rows + 0.3), size[:, 0] / (p.columns + 0.3))
        room = np.maximum(room, 0.45 * whole)
        wanted = np.minimum(whole * np.minimum(1.0, (root / em)) ** 0.2, room)
        half = 0.5 * wanted[p.leaf]
        if p.any_contour:
            fill = 0.5 * (wanted - p.natural * root)
            fill = np.clip(fill, -0.3 * p.natural * root, 0.6 * wanted)[p.leaf]
            half = np.where(p.contour, -p.weight * fill, half * p.weight)
        else:
            half = half * p.weight
        if spec.uneven:
            half *= np.exp(rng.standard_normal(len(p.lines)) * spec.uneven)[p.stroke]
        if spec.rough:
            grain = rng.standard_normal(len(half)) * spec.rough
            half = (
                np.where(p.contour, half + grain * 0.15 * whole, half * (1 + grain))
                if p.any_contour
                else half * (1 + grain)
            )
        # fit into the frame
        border = np.where(p.contour, np.maximum(0, np.abs(half)), half) if p.any_contour else half
        low = (at - border[:, None]).min(0)
        high = (at + border[:, None]).max(0)
        extent = high - low
        native = spec.resolution or spec.size
        left, top, right, bottom = spec.margins
        longer = float(extent.max())
        full = extent + longer * np.array([left + right, top + bottom])
        scale = native / float(full.max())
        if spec.frame == "square":
            width = height = native
            corner = (native - full * scale) / 2
        else:
            width, height = (max(4, round(float(v) * scale)) for v in full)
            corner = np.zeros(2)
        at = (at - low) * scale + corner + longer * scale * np.array([left, top])
        half = half * scale
        return Geometry(width, height, _polygons(p, at, half), float(whole * scale), spec.size / native, p)


def _polygons(p: Prepared, at: np.ndarray, half: np.ndarray) -> list[tuple[int, list[tuple[np.ndarray, bool]]]]:
    along = at[p.after] - at[p.before]
    length = np.sqrt((along * along).sum(1))
    along /= np.maximum(length, 1e-6)[:, None]
    normal = np.empty_like(along)
    normal[:, 0], normal[:, 1] = -along[:, 1], along[:, 0]
    # a mitre keeps the weight in corners
    first = at - at[p.before]
    miss = np.abs((first * normal).sum(1)) / np.maximum(np.sqrt((first * first).sum(1)), 1e-6)
    mitre = 1.0 / np.sqrt(np.maximum(0.45, 1.0 - miss * miss))
    side = normal * (half * mitre)[:, None]
    one, other = at + side, at - side
    cap = p.style.brush.cap
    starts, stops = p.ends[:, 0], p.ends[:, 1]
    head = at[starts] - along[starts] * (half[starts] * cap)[:, None]
    tail = at[stops] + along[stops] * (half[stops] * cap)[:, None]
    out: list[tuple[int, list[tuple[np.ndarray, bool]]]] = [(part, []) for part in p.part]
    for i, (a, b, leaf, contour, hole) in enumerate(p.lines):
        if contour:
            polygon = one[a:b]
        else:
            polygon = np.concatenate([head[i : i + 1], one[a:b], tail[i : i + 1], other[a:b][::-1]])
        out[leaf][1].append((polygon, hole))
    return out


@cache
def default_engine() -> Engine:
    """The engine of the released graph, made once in a process."""
    return Engine()

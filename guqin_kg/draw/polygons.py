"""From specifications to polygons: outlines placed by the layout, shaken by the hand, weighted by the brush.

All pictures of a batch are worked out together, as arrays one after the other; nothing a picture gets depends on its
neighbours in the batch. Raster and vector output use the same :class:`Geometry`, so they show the same glyph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from guqin_kg.draw.chance import Chance
from guqin_kg.draw.placing import NUMBERS, joined, run_tables
from guqin_kg.draw.prepared import Prepared
from guqin_kg.draw.spec import Spec

_values = attrgetter(
    "prints", "looseness", "jitter", "aspect", "weight", "uneven", "wobble", "shift", "slant", "turn", "rough"
)


@dataclass(slots=True, eq=False)
class Geometry:
    """Polygons of one picture in pixels of its native resolution.

    Attributes:
        width, height: of the native picture.
        points: ``(2, N)``, all polygons one after the other.
        thickness: stroke width in pixels.
        scale: pixels of the finished picture for one native pixel.
        prepared: whose ``polygons`` cut ``points`` into polygons and ``part`` names the component of a leaf.
    """

    width: int
    height: int
    points: np.ndarray
    thickness: float
    scale: float
    prepared: Prepared

    def leaves(self) -> list[tuple[int, list[tuple[np.ndarray, bool]]]]:
        """For each leaf its component and its polygons ``(points (n, 2), is_hole)`` in drawing order."""
        out: list[tuple[int, list[tuple[np.ndarray, bool]]]] = [(part, []) for part in self.prepared.part]
        for first, last, leaf, hole in self.prepared.polygons:
            out[leaf][1].append((self.points[:, first:last].T, hole))
        return out


@dataclass(slots=True, eq=False)
class Batch:
    """Polygons of many pictures.

    Attributes:
        pictures: one geometry for each specification; their points are views of ``points``.
        points: ``(2, N)``, of all pictures.
        first: where each picture begins in ``points``.
        leaf_first: where each leaf of all pictures begins in ``points``.
        chance: what the pictures draw by lot.
    """

    pictures: list[Geometry]
    points: np.ndarray
    first: np.ndarray
    leaf_first: np.ndarray
    chance: Chance


def polygons(specs: Sequence[Spec], prepared: Sequence[Prepared]) -> Batch:
    """Place, shake and widen the outlines of all pictures.

    Args:
        specs: of the pictures.
        prepared: their notations in their styles and forms, in the same order.
    """
    chance = Chance([spec.seed for spec in specs])
    prints, loose, jitter, aspect, heavy, uneven, wobble, shift, slant, turn, rough = np.array(
        [_values(spec) for spec in specs], np.float64
    ).T
    picture = np.arange(len(specs))
    # the boxes of the leaves, then their sizes
    noise = chance.normal(picture[:, None], np.arange(NUMBERS)) * jitter[:, None]
    boxes = run_tables([p.program.table for p in prepared], prints, loose, noise).T
    (rows, columns, natural), first_leaf, of_leaf = joined([p.leaves for p in prepared])
    widest = np.array([1.35 if len(p.part) > 1 else 3.0 for p in prepared])
    tall = np.array([p.program.root.height for p in prepared])
    aspect = np.minimum(widest, np.maximum(0.5, aspect / tall))
    em = np.sqrt(aspect)
    stretch = aspect.take(of_leaf)
    left, top = boxes[0] * stretch, boxes[1]
    width = np.maximum((boxes[2] - boxes[0]) * stretch, 0.02)
    height = np.maximum(boxes[3] - top, 0.02)

    # points of the strokes
    (x, y, weight, contour), first_point, of_point = joined([p.points for p in prepared])
    (leaf, stroke, before, after), _, _ = joined([p.index for p in prepared])
    ends, first_stroke, of_stroke = joined([p.ends for p in prepared])
    leaf = leaf + first_leaf.take(of_point)
    stroke = stroke + first_stroke.take(of_point)
    offset = first_point.take(of_point)
    x = left.take(leaf) + x * width.take(leaf)
    y = top.take(leaf) + y * height.take(leaf)
    own = np.arange(len(of_stroke)) - first_stroke.take(of_stroke)
    shaken = chance.normal(of_stroke, NUMBERS + 3 * own + np.arange(3)[:, None])
    reach = (shift * em).take(of_stroke)
    x += (shaken[0] * reach).take(stroke)
    y += (shaken[1] * reach).take(stroke)
    _wave(x, y, chance.uniform(6), wobble * em, of_point)
    turn = np.radians(turn)
    c, s = np.cos(turn).take(of_point), np.sin(turn)
    x, y = x * c - y * (slant + s).take(of_point), x * s.take(of_point) + y * c

    # half the width of the stroke at each point
    whole = np.array([p.style.weight for p in prepared]) * heavy * em
    any_contour = bool(contour.any())
    half = _half_widths(width, height, rows, columns, whole.take(of_leaf), em.take(of_leaf)).take(leaf) * weight
    if any_contour:
        filled = _filling(width, height, rows, columns, natural, whole.take(of_leaf), em.take(of_leaf))
        half = np.where(contour > 0, -weight * filled.take(leaf), half)
    half *= np.exp(shaken[2] * uneven.take(of_stroke)).take(stroke)
    begins = NUMBERS + 3 * np.bincount(of_stroke, minlength=len(specs))
    number = begins.take(of_point) + np.arange(len(of_point)) - offset
    grain = chance.normal(of_point, number) * rough.take(of_point)
    if any_contour:
        half = np.where(contour > 0, half + grain * (0.15 * whole).take(of_point), half * (1 + grain))
    else:
        half *= 1 + grain

    cap = np.array([p.style.brush.cap for p in prepared]).take(of_point)
    (side, visit), first, of_walk = joined([p.walk for p in prepared])
    sides = _sides(x, y, half, cap, before + offset, after + offset, ends + first_point.take(of_stroke))
    base = np.array([0, len(x), 2 * len(x), 2 * len(x) + len(of_stroke)]).take(side)
    base += np.where(side < 2, first_point.take(of_walk), first_stroke.take(of_walk))
    outline = sides.take(visit + base, axis=1)
    leaf_first = joined([p.leaf_first for p in prepared])[0][0] + first.take(of_leaf)
    pictures = _framed(specs, prepared, outline, first, of_walk, whole)
    return Batch(pictures, outline, first, leaf_first, chance)


def _wave(x: np.ndarray, y: np.ndarray, wave: np.ndarray, size: np.ndarray, picture: np.ndarray) -> None:
    """Bend ``x`` and ``y`` by two slow waves; ``wave`` is ``(pictures, 6)``."""
    size = size.take(picture)
    for i in (0, 3):
        across, down, begin = (
            v.take(picture) for v in (12 * wave[:, i] - 6, 12 * wave[:, i + 1] - 6, 6.2832 * wave[:, i + 2])
        )
        phase = x * across + y * down + begin
        x += np.sin(phase) * size
        y += np.cos(phase) * size


def _wanted(
    width: np.ndarray, height: np.ndarray, rows: np.ndarray, columns: np.ndarray, whole: np.ndarray, em: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Stroke widths of the leaves and their mean sizes: small slots keep nearly the weight of the whole."""
    root = np.sqrt(width * height)
    room = np.maximum(0.58 * np.minimum(height / rows, width / columns), 0.45 * whole)
    return np.minimum(whole * np.minimum(1.0, root / em) ** 0.2, room), root


def _half_widths(
    width: np.ndarray, height: np.ndarray, rows: np.ndarray, columns: np.ndarray, whole: np.ndarray, em: np.ndarray
) -> np.ndarray:
    return 0.5 * _wanted(width, height, rows, columns, whole, em)[0]


def _filling(
    width: np.ndarray, height: np.ndarray, rows: np.ndarray, columns: np.ndarray, natural: np.ndarray,
    whole: np.ndarray, em: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """How far contours move outwards so that their strokes get the wanted width."""
    wanted, root = _wanted(width, height, rows, columns, whole, em)
    own = natural * root
    return np.clip(0.5 * (wanted - own), -0.3 * own, 0.6 * wanted)


def _sides(
    x: np.ndarray, y: np.ndarray, half: np.ndarray, cap: np.ndarray, before: np.ndarray, after: np.ndarray,
    ends: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """``(2, one side + other side + heads + tails)``: centre lines widened to both sides, contours moved outwards."""
    bx, by = x.take(before), y.take(before)
    ax, ay = x.take(after) - bx, y.take(after) - by
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
    cap = half * cap
    ax *= cap
    ay *= cap
    first, last = ends
    n = len(x)
    m = 2 * n + len(first)
    points = np.empty((2, m + len(first)))
    for row, v, s, a in ((points[0], x, sx, ax), (points[1], y, sy, ay)):
        np.add(v, s, out=row[:n])
        np.subtract(v, s, out=row[n : 2 * n])
        np.subtract(v.take(first), a.take(first), out=row[2 * n : m])
        np.add(v.take(last), a.take(last), out=row[m:])
    return points


def _framed(
    specs: Sequence[Spec], prepared: Sequence[Prepared], outline: np.ndarray, first: np.ndarray, of_point: np.ndarray,
    whole: np.ndarray,
) -> list[Geometry]:  # fmt: skip
    """Scale and move the outlines ``(2, N)`` into the frames of their pictures."""
    x0, y0 = low = np.minimum.reduceat(outline, first, axis=1)
    wide, tall = np.maximum.reduceat(outline, first, axis=1) - low
    native = np.array([spec.resolution or spec.size for spec in specs])
    margins = np.array([spec.margins for spec in specs]).T
    longer = np.maximum(wide, tall)
    # cuts are shares of the side they cut, borders of the longer side
    left, top, right, bottom = margins * np.where(margins > 0, longer, np.array([wide, tall, wide, tall]))
    wide, tall = wide + left + right, tall + top + bottom
    scale = native / np.maximum(wide, tall)
    square = np.array([spec.frame == "square" for spec in specs])
    width = np.where(square, native, np.maximum(4, np.rint(wide * scale)).astype(np.int64))
    height = np.where(square, native, np.maximum(4, np.rint(tall * scale)).astype(np.int64))
    dx = np.where(square, (native - wide * scale) / 2, 0.0) + (left - x0) * scale
    dy = np.where(square, (native - tall * scale) / 2, 0.0) + (top - y0) * scale
    outline *= scale.take(of_point)
    outline += np.array([dx, dy]).take(of_point, axis=1)
    stops = [*first[1:].tolist(), outline.shape[1]]
    sizes = zip(width.tolist(), height.tolist(), native.tolist(), (whole * scale).tolist(), strict=True)
    return [
        Geometry(w, h, outline[:, a:b], thick, spec.size / n, p)
        for spec, p, a, b, (w, h, n, thick) in zip(specs, prepared, first.tolist(), stops, sizes, strict=True)
    ]

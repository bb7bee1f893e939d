"""One character as points in the unit box of its body, with the neighbours that normals need.

One vectorised step then places, bends and weights a whole glyph, whether it comes from centre lines or from contours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from guqin_kg.draw.strokes import Brush, parse_path, read_strokes, weights


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """One character as points.

    Attributes:
        points: ``(P, 2)`` in 0..1 of the body box.
        lines: ``(first, last + 1)`` of each stroke or contour.
        before, after: neighbours of each point (cyclic for contours).
        weight: ``(P,)`` weight factor for centre lines; +1 / -1 outward side for contours.
        contour: whether the lines are closed contours (else centre lines).
        holes: for contours, which lines are holes.
        natural: for contours, stroke width in body units (geometric mean of the axes).
        rows, columns, height: see ``compose.Density``.
    """

    points: np.ndarray
    lines: tuple[tuple[int, int], ...]
    before: np.ndarray
    after: np.ndarray
    weight: np.ndarray
    contour: bool
    holes: tuple[bool, ...]
    natural: float
    rows: float
    columns: float
    height: float


@lru_cache(maxsize=4096)
def stroke_ink(path: str, brush: Brush) -> Ink:
    """Ink of a path of centre lines.

    Raises:
        PathError: the path cannot be read.
    """
    s = read_strokes(path)
    return Ink(
        s.points, s.lines, s.before, s.after, weights(path, brush), False, (False,) * len(s.lines), 0.0,
        s.rows, s.columns, s.body[1] / s.body[0],
    )  # fmt: skip


def contour_ink(contours: Iterable[np.ndarray], *, units: float = 1000.0) -> Ink:
    """Ink of closed contours (y down, ``units`` to the em); the largest decides which way ink lies."""
    kept = []
    for c in contours:
        d = np.abs(np.diff(np.vstack([c, c[:1]]), axis=0)).sum(1)
        c = c[d > 1e-3 * units / 1000]
        if len(c) > 2:
            kept.append(c)
    areas = [_area(c) for c in kept]
    order = sorted(range(len(kept)), key=lambda i: -abs(areas[i]))
    kept, areas = [kept[i] for i in order], [areas[i] for i in order]
    sign = 1.0 if areas[0] > 0 else -1.0
    points = np.vstack(kept)
    low, high = points.min(0), points.max(0)
    size = np.maximum(high - low, 0.25 * units)
    origin = (low + high - size) / 2
    first, ranges, before, after = 0, [], [], []
    for c in kept:
        last = first + len(c)
        index = np.arange(first, last)
        ranges.append((first, last))
        before.append(np.roll(index, 1))
        after.append(np.roll(index, -1))
        first = last
    perimeter = sum(float(np.linalg.norm(c - np.roll(c, 1, axis=0), axis=1).sum()) for c in kept)
    area = abs(sum(areas))
    rows, columns = _contour_crossings(kept, 0), _contour_crossings(kept, 1)
    return Ink(
        points=((points - origin) / size).astype(np.float32),
        lines=tuple(ranges),
        before=np.concatenate(before),
        after=np.concatenate(after),
        weight=np.full(len(points), sign, np.float32),
        contour=True,
        holes=tuple(a * sign < 0 for a in areas),
        natural=2 * area / max(perimeter, 1e-6) / float(np.sqrt(size[0] * size[1])),
        rows=rows,
        columns=columns,
        height=float(size[1] / size[0]),
    )


def _area(c: np.ndarray) -> float:
    x, y = c[:, 0], c[:, 1]
    return float(0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def _contour_crossings(contours: list[np.ndarray], axis: int) -> float:
    points = np.vstack(contours)
    low, high = points[:, axis].min(), points[:, axis].max()
    counts = []
    for at in np.linspace(low + 0.08 * (high - low), high - 0.08 * (high - low), 13):
        n = 0
        for c in contours:
            v = c[:, axis]
            n += int(np.count_nonzero((v < at) != (np.roll(v, -1) < at)))
        counts.append(n / 2)
    return max(1.0, float(np.mean(sorted(counts)[-4:])))


@lru_cache(maxsize=512)
def path_ink(path: str) -> Ink:
    """Ink of an SVG outline path in a box of 1000 x 1000.

    Raises:
        PathError: the path cannot be read.
    """
    return contour_ink(parse_path(path))

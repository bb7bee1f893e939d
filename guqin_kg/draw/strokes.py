"""Centre lines of strokes, and the brush that gives them weight.

A character outline of the graph (``gq:strokePath``) is an SVG path of centre lines in a box of 1000 x 1000, y down,
one ``M`` for each stroke in writing order. Weight is a property of the brush, not of the path, so strokes keep it
when a component shrinks into its slot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from guqin_kg.errors import DataError

_TOKEN = re.compile(r"([MLQCHVZmlqchvz])|(-?\d+(?:\.\d+)?)")
_CORNER = np.cos(np.radians(52.0))
_STEP = 95.0
"""Distance between points of a flattened stroke, in units of the box."""

MIN_BODY = 330.0
"""The smallest extent a character's body has for the layout, so that a single bar does not fill its slot."""


class PathError(DataError):
    """A path in the graph cannot be read; the message holds the path's beginning."""

    default_code = "bad-path"


def parse_path(path: str) -> list[np.ndarray]:
    """Sub-paths of an SVG path as point arrays ``(n, 2)``; curves are flattened, ``Z`` closes.

    Raises:
        PathError: an unknown command, a missing number, or nothing drawn.
    """
    tokens = _TOKEN.findall(path)
    if re.sub(r"[MLQCHVZmlqchvz\s,.\d-]", "", path):
        raise PathError(f"the path {path[:40]!r} has a command that is not one of M L H V Q C Z")
    pos = 0
    out: list[list[tuple[float, float]]] = []
    here = (0.0, 0.0)
    command = ""

    def numbers(count: int) -> list[float]:
        nonlocal pos
        values = [t[1] for t in tokens[pos : pos + count]]
        if len(values) < count or not all(values):
            raise PathError(f"the path {path[:40]!r} misses a number")
        pos += count
        return [float(v) for v in values]

    while pos < len(tokens):
        if tokens[pos][0]:
            command = tokens[pos][0]
            pos += 1
        relative = command.islower()
        upper = command.upper()
        base = here if relative else (0.0, 0.0)
        if upper == "Z":
            if out and out[-1]:
                out[-1].append(out[-1][0])
                here = out[-1][0]
            command = ""
            continue
        if upper in ("M", "L"):
            x, y = numbers(2)
            here = (x + base[0], y + base[1])
            if upper == "M":
                out.append([here])
                command = "l" if relative else "L"
            elif out:
                out[-1].append(here)
        elif upper in ("H", "V"):
            (value,) = numbers(1)
            here = (value + base[0], here[1]) if upper == "H" else (here[0], value + base[1])
            if out:
                out[-1].append(here)
        elif upper in ("Q", "C"):
            flat = numbers(4 if upper == "Q" else 6)
            points = np.array([here, *[(flat[i] + base[0], flat[i + 1] + base[1]) for i in range(0, len(flat), 2)]])
            t = np.linspace(0, 1, 9)[1:, None]
            if upper == "Q":
                curve = (1 - t) ** 2 * points[0] + 2 * t * (1 - t) * points[1] + t**2 * points[2]
            else:
                curve = (
                    (1 - t) ** 3 * points[0]
                    + 3 * t * (1 - t) ** 2 * points[1]
                    + 3 * t**2 * (1 - t) * points[2]
                    + t**3 * points[3]
                )
            here = (float(points[-1][0]), float(points[-1][1]))
            if out:
                out[-1].extend((float(a), float(b)) for a, b in curve)
        else:
            raise PathError(f"the path {path[:40]!r} does not begin with M")
    found = [np.array(p) for p in out if len(p) > 1]
    if not found:
        raise PathError(f"the path {path[:40]!r} draws nothing")
    return found


def smooth(points: np.ndarray) -> np.ndarray:
    """Catmull-Rom through ``points`` between sharp corners, resampled to about ``_STEP`` units."""
    keep = np.concatenate([[True], np.abs(np.diff(points, axis=0)).sum(1) > 1e-6])
    points = points[keep]
    if len(points) < 2:
        return np.repeat(points, 2, axis=0) + np.array([[0.0, 0.0], [1.0, 0.0]])
    d = np.diff(points, axis=0)
    u = d / np.linalg.norm(d, axis=1, keepdims=True)
    corner = [0, *[i + 1 for i in range(len(u) - 1) if float(u[i] @ u[i + 1]) < _CORNER], len(points) - 1]
    parts = []
    for a, b in pairwise(corner):
        run = points[a : b + 1]
        padded = np.vstack([2 * run[0] - run[1], run, 2 * run[-1] - run[-2]])
        for i in range(len(run) - 1):
            p0, p1, p2, p3 = padded[i : i + 4]
            n = max(1, round(float(np.linalg.norm(p2 - p1)) / _STEP))
            t = np.linspace(0, 1, n + 1)[:-1, None]
            parts.append(
                0.5
                * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
            )
    parts.append(points[-1:])
    out = np.vstack(parts)
    return out if len(out) > 2 else np.vstack([out[0], out.mean(0), out[-1]])


@dataclass(frozen=True, slots=True, eq=False)
class Strokes:
    """The strokes of one character, ready for the brush.

    Attributes:
        points: ``(P, 2)`` in units of the body box (0..1 across the slot).
        lines: ``(first, last + 1)`` of each stroke in ``points``.
        before, after: for each point the index of its neighbours in the stroke (itself at an end).
        rows, columns: how many strokes a vertical / horizontal line meets: how much room the character needs.
        body: ``(width, height)`` of the body box in units of 1000.
    """

    points: np.ndarray
    lines: tuple[tuple[int, int], ...]
    before: np.ndarray
    after: np.ndarray
    rows: float
    columns: float
    body: tuple[float, float]

    @property
    def count(self) -> int:
        """Number of strokes."""
        return len(self.lines)


def _crossings(strokes: list[np.ndarray], axis: int) -> float:
    """Mean of the three highest numbers of strokes met by 13 lines along ``axis`` (0: vertical lines)."""
    points = np.vstack(strokes)
    low, high = points[:, axis].min(), points[:, axis].max()
    if high - low < 1:
        return 1.0
    counts = []
    for at in np.linspace(low + 0.08 * (high - low), high - 0.08 * (high - low), 13):
        n = 0
        for stroke in strokes:
            c = stroke[:, axis]
            n += int(np.count_nonzero((c[:-1] < at) != (c[1:] < at)))
        counts.append(n)
    return max(1.0, float(np.mean(sorted(counts)[-4:])))


@lru_cache(maxsize=2048)
def read_strokes(path: str) -> Strokes:
    """Flatten a stroke path.

    Raises:
        PathError: the path cannot be read.
    """
    lines = [smooth(p) for p in parse_path(path)]
    points = np.vstack(lines)
    low, high = points.min(0), points.max(0)
    size = np.maximum(high - low, MIN_BODY)
    origin = (low + high - size) / 2
    first = 0
    ranges, before, after = [], [], []
    for line in lines:
        last = first + len(line)
        ranges.append((first, last))
        index = np.arange(first, last)
        before.append(np.maximum(index - 1, first))
        after.append(np.minimum(index + 1, last - 1))
        first = last
    return Strokes(
        points=((points - origin) / size).astype(np.float32),
        lines=tuple(ranges),
        before=np.concatenate(before),
        after=np.concatenate(after),
        rows=_crossings(lines, 0),
        columns=_crossings(lines, 1),
        body=(float(size[0]), float(size[1])),
    )


@dataclass(frozen=True, slots=True)
class Brush:
    """How a centre line becomes ink; factors of the glyph's stroke weight.

    Attributes:
        horizontal, vertical: weight of level and upright strokes.
        taper: 0 = even weight, 1 = falling strokes end in a point.
        press: swelling where the brush comes down and lifts.
        serif: the triangle at the right end of a level stroke (Song types).
        cap: how far round ends reach, in stroke widths.
    """

    horizontal: float = 0.85
    vertical: float = 1.0
    taper: float = 0.8
    press: float = 0.15
    serif: float = 0.0
    cap: float = 0.35


@lru_cache(maxsize=4096)
def weights(path: str, brush: Brush) -> np.ndarray:
    """Weight ``(P,)`` at each point of ``read_strokes(path)``, as a factor of the stroke weight."""
    strokes = read_strokes(path)
    scale = np.array(strokes.body) / 1000.0
    out = np.empty(len(strokes.points), np.float32)
    for a, b in strokes.lines:
        p = strokes.points[a:b].astype(float) * scale
        d = np.diff(p, axis=0)
        lengths = np.linalg.norm(d, axis=1) + 1e-9
        total = lengths.sum()
        at = np.concatenate([[0], np.cumsum(lengths)]) / total
        tangent = np.gradient(p, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
        upright = tangent[:, 1] ** 2
        w = brush.horizontal + (brush.vertical - brush.horizontal) * upright
        end = p[-1] - p[max(0, int(np.searchsorted(at, 0.75)) - 1)]
        end = end / (np.linalg.norm(end) + 1e-9)
        hook = _ends_in_hook(d, lengths, total)
        if hook is not None:
            begin = 1 - hook
            w *= np.where(at > begin, 1 - brush.taper * 0.85 * (at - begin) / hook, 1.0)
        elif end[1] > 0.3 and end[0] < -0.28:  # falls to the left
            w *= 1 - brush.taper * 0.78 * np.clip((at - 0.3) / 0.7, 0, 1) ** 1.3
        elif end[0] > 0.3 and end[1] > 0.32:  # falls to the right, and dots
            rise = np.interp(at, [0, 0.8, 1], [0.45, 1.3, 0.75])
            w *= 1 + brush.taper * (rise - 1)
        elif end[0] > 0.3 and end[1] < -0.3:  # flicks upwards
            w *= 1 - brush.taper * 0.75 * np.clip((at - 0.5) / 0.5, 0, 1)
        else:
            w *= 1 + brush.press * (2 * np.abs(at - 0.5)) ** 2
            if brush.serif and abs(end[0]) > 0.9 and total > 0.2:
                w *= 1 + brush.serif * np.clip((at - 0.86) / 0.14, 0, 1)
        out[a:b] = w
    return out


def _ends_in_hook(d: np.ndarray, lengths: np.ndarray, total: float) -> float | None:
    """Share of the stroke after its last corner when that is a short hook, else None."""
    u = d / lengths[:, None]
    tail = 0.0
    for i in range(len(d) - 1, 0, -1):
        tail += lengths[i]
        if tail > 0.34 * total:
            return None
        if float(u[i] @ u[i - 1]) < 0.72 and i < len(d):
            return float(tail / total)
    return None

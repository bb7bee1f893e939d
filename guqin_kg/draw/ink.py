"""From polygons to ink: the coverage of each picture, and the tight box of each component's ink.

Every leaf of every picture of a batch is inked alone, at three times the resolution, on one common sheet; the sheet is
reduced and measured once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from guqin_kg.draw.polygons import Batch, Geometry
from guqin_kg.draw.spec import Spec

INK_LEVEL = 0.4
"""Coverage from which a pixel counts as ink when boxes are measured."""

_LEVEL = int(255 * INK_LEVEL)
_BANK = 256
_SHEET = 512
_NONE = 1 << 30


@cache
def bank() -> tuple[np.ndarray, np.ndarray]:
    """White noise, and smooth noise of the same spread, both float32 and fixed."""
    rng = np.random.Generator(np.random.PCG64(20231))
    white = rng.standard_normal((_BANK, _BANK)).astype(np.float32)
    spectrum = np.fft.rfft2(rng.standard_normal((_BANK, _BANK)))
    fy, fx = np.fft.fftfreq(_BANK)[:, None], np.fft.rfftfreq(_BANK)[None]
    soft = np.fft.irfft2(spectrum * np.exp(-(fx**2 + fy**2) * 260.0), (_BANK, _BANK))
    return white, (soft / soft.std()).astype(np.float32)


def patch(noise: np.ndarray, x: int, y: int, height: int, width: int) -> np.ndarray:
    """A piece of one of the :func:`bank`, wherever ``x`` and ``y`` point (tiled for large pictures)."""
    if height > _BANK or width > _BANK:
        return np.tile(noise, (1 + height // _BANK, 1 + width // _BANK))[:height, :width]
    x, y = x % (_BANK - width + 1), y % (_BANK - height + 1)
    return noise[y : y + height, x : x + width]


def pixels_of(image: Image.Image) -> np.ndarray:
    """The grey levels of an image; cheaper than ``numpy.asarray`` for small ones."""
    return np.frombuffer(image.tobytes(), np.uint8).reshape(image.size[::-1])


def image_of(pixels: np.ndarray) -> Image.Image:
    """Grey levels as an image; cheaper than ``Image.fromarray`` for small ones."""
    height, width = pixels.shape
    return Image.frombuffer("L", (width, height), np.ascontiguousarray(pixels), "raw", "L", 0, 1)


def cover(geometry: Geometry, spec: Spec, only: frozenset[int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Ink coverage ``(height, width)`` in 0..255 at native resolution, and boxes of the components in native pixels.

    Args:
        geometry: polygons.
        spec: for breaks.
        only: draw only these components.
    """
    leaf_first = geometry.prepared.leaf_first[0]
    return _cover([geometry], geometry.points, leaf_first, [spec], only)[0]


def covers(batch: Batch, specs: Sequence[Spec]) -> list[tuple[np.ndarray, np.ndarray]]:
    """:func:`cover` of every picture of a batch."""
    return _cover(batch.pictures, batch.points, batch.leaf_first, specs, None)


def _factor(geometry: Geometry) -> int:
    return 3 if max(geometry.width, geometry.height) <= 96 else 2


def _cover(
    pictures: Sequence[Geometry], points: np.ndarray, leaf_first: np.ndarray, specs: Sequence[Spec],
    only: frozenset[int] | None,
) -> list[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    part = np.array([part for g in pictures for part in g.prepared.part])
    counts = [len(g.prepared.part) for g in pictures]
    size = np.repeat([(g.width, g.height) for g in pictures], counts, axis=0).T
    factor = np.repeat([_factor(g) for g in pictures], counts)
    # where the ink of a leaf lies in its picture, with a border
    low = np.trunc(np.minimum.reduceat(points, leaf_first, axis=1)).astype(np.int64) - 2
    high = np.trunc(np.maximum.reduceat(points, leaf_first, axis=1)).astype(np.int64) + 2
    seen = (high > 0).all(0) & (low < size).all(0)
    if only is not None:
        seen &= np.isin(part, list(only))
    place = np.zeros((2, len(part)), np.int64)  # of each leaf on its sheet
    box = np.zeros((4, len(part)), np.int64)  # of its dark ink, in its picture
    inks: list[np.ndarray | None] = [None] * len(part)
    worn = {i: _wear(specs[i], g) for i, g in enumerate(pictures) if specs[i].breaks}
    owner = np.repeat(np.arange(len(pictures)), counts).tolist()
    breaks = np.repeat([i in worn for i in range(len(pictures))], counts)
    spoilt = (breaks | (low < 0).any(0) | (high > size).any(0)).tolist()
    lows, highs = low.T.tolist(), high.T.tolist()
    flat = np.empty((points.shape[1], 2), np.float32)
    for scale in np.unique(factor).tolist():
        mine = np.flatnonzero(seen & (factor == scale))
        if not len(mine):
            continue
        shelves, width, height = _shelves(mine, high - low, place)
        layer = Image.new("L", (width * scale, height * scale))
        _fill(layer, pictures, points, leaf_first, flat, low, place, seen & (factor == scale), scale)
        sheet = _reduced(pixels_of(layer), scale)
        for leaf in mine.tolist():
            (x0, y0), (x1, y1), (left, top) = lows[leaf], highs[leaf], place[:, leaf].tolist()
            inks[leaf] = ink = sheet[top : top + y1 - y0, left : left + x1 - x0]
            if spoilt[leaf]:
                w, h = size[:, leaf].tolist()
                # what lies outside the picture is no ink
                ink[: max(0, -y0)] = 0
                ink[:, : max(0, -x0)] = 0
                ink[max(0, h - y0) :] = 0
                ink[:, max(0, w - x0) :] = 0
                wear = worn.get(owner[leaf])
                if wear is not None:
                    inside = ink[max(0, -y0) : h - y0, max(0, -x0) : w - x0]
                    inside[...] = inside * wear[max(0, y0) : y1, max(0, x0) : x1]
        for top, tall, leaves in shelves:
            box[:, leaves] = _measured(sheet[top : top + tall], place[0, leaves]) + np.tile(low[:, leaves], (2, 1))
    return _composed(pictures, part.tolist(), inks, lows, box.T.tolist())


def _wear(spec: Spec, geometry: Geometry) -> np.ndarray:
    """What breaks leave of the ink, ``(height, width)`` in 0..1."""
    width, height = geometry.width, geometry.height
    fine, soft = bank()
    worn = patch(soft, spec.seed, spec.seed >> 8, height, width) + np.float32(0.35) * patch(
        fine, spec.seed >> 3, spec.seed >> 11, height, width
    )
    return np.clip((worn - np.float32(-1.9 + 2.2 * spec.breaks)) * np.float32(2.2), 0, 1)


def _shelves(
    leaves: np.ndarray, size: np.ndarray, place: np.ndarray
) -> tuple[list[tuple[int, int, np.ndarray]], int, int]:
    """Put leaves of like height side by side; fills ``place``.

    Returns:
        Top, height and leaves of each shelf; width and height of the sheet.
    """
    wide, tall = size[:, leaves]
    widest = max(int(wide.max()), min(_SHEET, int(wide.sum())))
    order = np.argsort(-tall, kind="stable")
    shelves: list[tuple[int, int, np.ndarray]] = []
    row: list[int] = []
    top = at = 0
    lefts: list[int] = []
    ids, widths, heights = leaves[order].tolist(), wide[order].tolist(), tall[order].tolist()

    def close(height: int) -> None:
        here = np.array(row)
        place[0, here], place[1, here] = lefts, top
        shelves.append((top, height, here))

    height = heights[0]
    for leaf, w, h in zip(ids, widths, heights, strict=True):
        if at + w > widest:
            close(height)
            top, at, height = top + height, 0, h
            row, lefts = [], []
        row.append(leaf)
        lefts.append(at)
        at += w
    close(height)
    return shelves, widest, top + height


def _fill(
    layer: Image.Image, pictures: Sequence[Geometry], points: np.ndarray, leaf_first: np.ndarray, flat: np.ndarray,
    low: np.ndarray, place: np.ndarray, seen: np.ndarray, scale: int,
) -> None:  # fmt: skip
    """Fill the polygons of each leaf at its place on the sheet, with 1."""
    per_leaf = np.diff(np.append(leaf_first, points.shape[1]))
    # whole numbers before the place is added, so that the place makes no difference
    corners = np.trunc(points * scale - np.repeat(low * scale + 0.5, per_leaf, axis=1))
    corners += np.repeat(place * scale, per_leaf, axis=1)
    flat[:] = corners.T
    fill = ImageDraw.Draw(layer).polygon
    leaf = at = 0
    shown = seen.tolist()
    for geometry in pictures:
        for first, last, own, hole in geometry.prepared.polygons:
            if shown[leaf + own]:
                fill(flat[at + first : at + last], fill=0 if hole else 1)  # type: ignore[arg-type]  # float32 buffers
        leaf += len(geometry.prepared.part)
        at += geometry.points.shape[1]


def _reduced(sheet: np.ndarray, scale: int) -> np.ndarray:
    """Shares of ink in 0..255 of squares of ``scale`` x ``scale`` zeros and ones."""
    rows = sheet[0::scale].copy()
    for i in range(1, scale):
        rows += sheet[i::scale]
    counts = rows[:, 0::scale].copy()
    for i in range(1, scale):
        counts += rows[:, i::scale]
    whole = scale * scale
    shares = np.array([(255 * k + whole // 2) // whole for k in range(whole + 1)], np.uint8)
    return shares.take(counts)


def _measured(shelf: np.ndarray, lefts: np.ndarray) -> np.ndarray:
    """Tight boxes ``(4, n)`` (x0, y0, x1, y1 from each place) of the dark ink of the leaves of a shelf.

    A leaf without dark ink gets x1 below x0.
    """
    dark = shelf >= _LEVEL
    across = dark.any(0)
    columns = np.arange(shelf.shape[1])
    left = np.minimum.reduceat(np.where(across, columns, _NONE), lefts) - lefts
    right = np.maximum.reduceat(np.where(across, columns, -1), lefts) + 1 - lefts
    down = np.maximum.reduceat(dark.view(np.uint8), lefts, axis=1)
    top = down.argmax(0)
    bottom = len(down) - down[::-1].argmax(0)
    return np.array([left, top, right, bottom])


def _composed(
    pictures: Sequence[Geometry], part: list[int], inks: list[np.ndarray | None], low: list[list[int]],
    box: list[list[int]],
) -> list[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """Leaves put together: the ink of each picture, and the boxes of its components."""
    out: list[tuple[np.ndarray, np.ndarray]] = []
    leaf = 0
    for g in pictures:
        width, height = g.width, g.height
        full = np.zeros((height, width), np.uint8)
        edges: list[list[int] | None] = [None] * len(g.prepared.layout.parts)
        for _ in g.prepared.part:
            ink = inks[leaf]
            if ink is not None:
                x0, y0 = low[leaf]
                x, y = max(0, x0), max(0, y0)
                target = full[y : y0 + len(ink), x : x0 + ink.shape[1]]
                np.maximum(target, ink[y - y0 : height - y0, x - x0 : width - x0], out=target)
                number, (a, b, c, d) = part[leaf], box[leaf]
                if number >= 0 and a < c:
                    e = edges[number]
                    edges[number] = [a, b, c, d] if e is None else [*map(min, e[:2], (a, b)), *map(max, e[2:], (c, d))]
            leaf += 1
        boxes = np.array([(e[0], e[1], e[2] - e[0], e[3] - e[1]) if e else (0, 0, 0, 0) for e in edges], float)
        out.append((full, boxes.reshape(-1, 4)))
    return out

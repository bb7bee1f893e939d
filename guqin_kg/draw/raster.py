"""From polygons to grey pixels: ink, paper, what time and scanners add. A pure function of the specification."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from guqin_kg.draw.engine import Engine, Geometry, default_engine
from guqin_kg.draw.layout import Layout
from guqin_kg.draw.spec import Spec, check_size

INK_LEVEL = 0.4
"""Coverage from which a pixel counts as ink when boxes are measured."""

_BANK = 256


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A picture with exact labels.

    Attributes:
        pixels: uint8 ``(height, width)``, dark ink on light paper.
        boxes: float ``(components, 4)``: x, y, width, height of each component's ink in pixels, after every geometric
            and ink distortion, before blur and noise; width 0 for a component with no ink inside the picture.
        layout: tree and components, in the order of ``boxes``.
        spec: what was drawn.
    """

    pixels: np.ndarray
    boxes: np.ndarray
    layout: Layout
    spec: Spec

    @property
    def names(self) -> list[str]:
        """Component names in reading order."""
        return [part.name for part in self.layout.parts]

    @property
    def roles(self) -> list[str]:
        """Part roles in reading order."""
        return [part.role for part in self.layout.parts]

    def image(self) -> Image.Image:
        """As a Pillow image."""
        return Image.fromarray(self.pixels)


@cache
def _bank() -> tuple[np.ndarray, np.ndarray]:
    """White noise, and smooth noise of the same spread, both float32 and fixed."""
    rng = np.random.Generator(np.random.PCG64(20231))
    white = rng.standard_normal((_BANK, _BANK)).astype(np.float32)
    spectrum = np.fft.rfft2(rng.standard_normal((_BANK, _BANK)))
    fy, fx = np.fft.fftfreq(_BANK)[:, None], np.fft.rfftfreq(_BANK)[None]
    soft = np.fft.irfft2(spectrum * np.exp(-(fx**2 + fy**2) * 260.0), (_BANK, _BANK))
    return white, (soft / soft.std()).astype(np.float32)


@lru_cache(maxsize=512)
def _ramp(length: int) -> np.ndarray:
    return np.linspace(-1, 1, length, dtype=np.float32)


def _patch(bank: np.ndarray, x: int, y: int, height: int, width: int) -> np.ndarray:
    if height > _BANK or width > _BANK:
        bank = np.tile(bank, (1 + height // _BANK, 1 + width // _BANK))
    else:
        x, y = x % (_BANK - width + 1), y % (_BANK - height + 1)
    return bank[y : y + height, x : x + width] if height <= _BANK and width <= _BANK else bank[:height, :width]


def cover(geometry: Geometry, spec: Spec, only: frozenset[int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Ink coverage ``(height, width)`` in 0..255 at native resolution, and boxes of the components in native pixels.

    Args:
        geometry: polygons.
        spec: for breaks.
        only: draw only these components.
    """
    width, height = geometry.width, geometry.height
    full = np.zeros((height, width), np.uint8)
    factor = 3 if max(width, height) <= 96 else 2
    parts = len(geometry.prepared.layout.parts)
    edges = [[1e9, 1e9, -1e9, -1e9] for _ in range(parts)]
    level = int(255 * INK_LEVEL)
    worn = None
    if spec.breaks:
        soft = _patch(_bank()[1], spec.seed, spec.seed >> 8, height, width)
        fine = _patch(_bank()[0], spec.seed >> 3, spec.seed >> 11, height, width)
        cut = float(-1.9 + 2.2 * spec.breaks)
        worn = np.clip((soft + 0.35 * fine - cut) * 2.2, 0, 1)
    p = geometry.prepared
    left_of, top_of = (np.minimum.reduceat(v, p.leaf_first).tolist() for v in geometry.points)
    right_of, bottom_of = (np.maximum.reduceat(v, p.leaf_first).tolist() for v in geometry.points)
    # all leaves side by side on one sheet: each is inked alone, and the sheet is scaled down once
    places: list[tuple[int, int, int, int, int]] = []
    sheet_width = sheet_height = 1
    for leaf, part in enumerate(p.part):
        x0, y0, x1, y1 = (
            int(left_of[leaf]) - 2,
            int(top_of[leaf]) - 2,
            int(right_of[leaf]) + 2,
            int(bottom_of[leaf]) + 2,
        )
        if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height or (only is not None and part not in only):
            x1 = x0
        places.append((x0, y0, x1, y1, sheet_width))
        if x1 > x0:
            sheet_width += x1 - x0
            sheet_height = max(sheet_height, y1 - y0)
    layer = Image.new("L", (sheet_width * factor, sheet_height * factor))
    pen = ImageDraw.Draw(layer)
    _ink(pen, geometry, places, factor)
    sheet = np.asarray(layer.reduce(factor))
    for part, (x0, y0, x1, y1, left) in zip(p.part, places, strict=True):
        if x1 == x0:
            continue
        cut_x, cut_y = max(0, -x0), max(0, -y0)
        x0, y0, left = x0 + cut_x, y0 + cut_y, left + cut_x
        x1, y1 = min(x1, width), min(y1, height)
        ink = sheet[cut_y : cut_y + y1 - y0, left : left + x1 - x0]
        if worn is not None:
            ink = (ink * worn[y0:y1, x0:x1]).astype(np.uint8)
        target = full[y0:y1, x0:x1]
        np.maximum(target, ink, out=target)
        if part >= 0:
            dark = ink >= level
            down, across = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
            if len(down):
                e = edges[part]
                e[0], e[1] = min(e[0], x0 + across[0]), min(e[1], y0 + down[0])
                e[2], e[3] = max(e[2], x0 + across[-1] + 1), max(e[3], y0 + down[-1] + 1)
    boxes = np.array([(a, b, c - a, d - b) if c > a else (0, 0, 0, 0) for a, b, c, d in edges], float)
    return full, boxes.reshape(-1, 4)


def _ink(
    pen: ImageDraw.ImageDraw, geometry: Geometry, places: list[tuple[int, int, int, int, int]], factor: int
) -> None:
    """Fill the polygons of each leaf at its place on the sheet."""
    p = geometry.prepared
    table = np.array(places)
    points = geometry.points * factor
    per_leaf = np.diff(np.append(p.leaf_first, points.shape[1]))
    points[0] += np.repeat((table[:, 4] - table[:, 0]) * factor - 0.5, per_leaf)
    points[1] -= np.repeat(table[:, 1] * factor + 0.5, per_leaf)
    flat = points.T.ravel().tolist()
    for first, last, leaf, hole in p.polygons:
        if places[leaf][2] > places[leaf][0]:
            pen.polygon(flat[2 * first : 2 * last], fill=0 if hole else 255)


def _intrude(ink: np.ndarray, spec: Spec, rng: np.random.Generator) -> np.ndarray:
    """Ink that is not the glyph's: neighbours reaching in, a small circle, a column line."""
    height, width = ink.shape
    out = ink.copy()
    for side in spec.neighbours:
        depth = max(1, int((0.03 + 0.09 * rng.random()) * (height if side in "tb" else width)))
        shift = int(rng.integers(-width // 4, width // 4 + 1))
        if side in "tb":
            first = int(np.argmax(ink.max(1) > 128)) if side == "b" else 0
            last = height - int(np.argmax(ink[::-1].max(1) > 128))
            strip = ink[first : first + depth] if side == "b" else ink[last - depth : last]
            strip = np.roll(strip, shift, axis=1)
            target = out[height - len(strip) :] if side == "b" else out[: len(strip)]
        else:
            first = int(np.argmax(ink.max(0) > 128)) if side == "r" else 0
            last = width - int(np.argmax(ink[:, ::-1].max(0) > 128))
            strip = ink[:, first : first + depth] if side == "r" else ink[:, last - depth : last]
            strip = np.roll(strip, shift, axis=0)
            target = out[:, width - strip.shape[1] :] if side == "r" else out[:, : strip.shape[1]]
        np.maximum(target, strip, out=target)
    if spec.dot or spec.rule:
        layer = Image.fromarray(out)
        pen = ImageDraw.Draw(layer)
        if spec.dot:
            r = max(1.5, 0.045 * height)
            x, y = width - r - 1 - 3 * rng.random(), height - r - 1 - 3 * rng.random()
            pen.ellipse((x - r, y - r, x + r, y + r), outline=230, width=max(1, round(0.02 * height)))
        if spec.rule:
            x = (1 + 2 * rng.random()) if spec.rule == "l" else width - 2 - 2 * rng.random()
            pen.line((x, 0, x + 2 * rng.random() - 1, height), fill=200, width=max(1, width // 48))
        out = np.asarray(layer)
    return out


def _seal(paper: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    height, width = paper.shape
    layer = Image.new("L", (width, height))
    pen = ImageDraw.Draw(layer)
    side = 0.5 * max(width, height)
    x, y = (rng.random() - 0.3) * width, (rng.random() - 0.3) * height
    line = max(1, int(side / 14))
    pen.rectangle((x, y, x + side, y + side), outline=255, width=line)
    for i in range(1, 5):
        pen.line(
            (x + side * i / 5, y + side * 0.1, x + side * (i + rng.random() - 0.5) / 5, y + side * 0.9),
            fill=255,
            width=line,
        )
    return paper * (1 - strength * np.asarray(layer, np.float32) / 255)


def draw_spec(spec: Spec, engine: Engine | None = None) -> Drawing:
    """Draw: the same specification gives the same bytes, wherever and in whatever order it is drawn.

    Args:
        spec: from ``sample_spec``, or made by hand.
        engine: of another graph (default: the released graph).

    Raises:
        UsageError: size out of range, unknown style.
        MissingFormError, MissingOutlineError: a component cannot be drawn; named.
        NotFoundError: the style's font is not installed.
    """
    check_size(spec.size)
    geometry = (engine or default_engine()).geometry(spec)
    ink, boxes = cover(geometry, spec)
    pixels = _finish(ink, geometry, spec)
    height, width = pixels.shape
    if geometry.scale != 1:
        boxes[:, 0::2] *= width / geometry.width
        boxes[:, 1::2] *= height / geometry.height
    return Drawing(pixels, boxes, geometry.prepared.layout, spec)


def _finish(ink: np.ndarray, geometry: Geometry, spec: Spec) -> np.ndarray:
    """Everything that is not the glyph's own ink: neighbours, blur, paper, grain, compression, scaling."""
    rng = geometry.rng
    height, width = ink.shape
    if spec.neighbours or spec.dot or spec.rule:
        ink = _intrude(ink, spec, rng)
    if spec.blur:
        ink = np.asarray(Image.fromarray(ink).filter(ImageFilter.GaussianBlur(spec.blur)))
    if spec.ink == 0 and spec.paper == 255 and not (spec.grain or spec.shade or spec.bleed or spec.seal):
        pixels = 255 - ink
    else:
        pixels = _on_paper(ink, spec, rng)
    if not spec.jpeg and geometry.scale == 1:
        return pixels
    image = Image.fromarray(pixels)
    if spec.jpeg:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=spec.jpeg)
        image = Image.open(buffer)
    if geometry.scale != 1:
        size = (spec.size, spec.size)
        if spec.frame != "square":
            longer = max(width, height)
            size = (max(4, round(width * spec.size / longer)), max(4, round(height * spec.size / longer)))
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image)


def _on_paper(ink: np.ndarray, spec: Spec, rng: np.random.Generator) -> np.ndarray:
    height, width = ink.shape
    x, y = rng.integers(0, _BANK, 2).tolist()
    paper: np.ndarray | float = float(spec.paper)
    if spec.shade:
        across, down = ((rng.random(2) - 0.5) * spec.shade).tolist()
        paper = _patch(_bank()[1], y, x, height, width) * np.float32(0.5 * spec.shade)
        paper += _ramp(width) * np.float32(across) + np.float32(spec.paper)
        paper += _ramp(height)[:, None] * np.float32(down)
    if spec.bleed:
        back = np.roll(ink[:, ::-1], tuple(rng.integers(-6, 7, 2).tolist()), axis=(0, 1))
        back = np.asarray(Image.fromarray(np.ascontiguousarray(back)).filter(ImageFilter.GaussianBlur(1.2)))
        paper = paper * (1 - np.float32(spec.bleed / 255) * back)
    if spec.seal:
        paper = _seal(paper + np.zeros((height, width), np.float32), spec.seal, rng)
    grey = ink * np.float32(1 / 255)
    grey *= np.float32(spec.ink) - paper
    grey += paper
    if spec.grain:
        grey += np.float32(spec.grain) * _patch(_bank()[0], x, y, height, width)
    np.maximum(grey, 0, out=grey)
    np.minimum(grey, 255, out=grey)
    return grey.astype(np.uint8)

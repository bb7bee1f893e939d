"""From polygons to grey pixels: ink, paper, what time and scanners add. A pure function of the specification."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

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
    for part, polygons in geometry.leaves:
        if only is not None and part not in only:
            continue
        low = np.min([p.min(0) for p, _ in polygons], axis=0)
        high = np.max([p.max(0) for p, _ in polygons], axis=0)
        x0, y0 = max(0, int(low[0]) - 1), max(0, int(low[1]) - 1)
        x1, y1 = min(width, int(high[0]) + 2), min(height, int(high[1]) + 2)
        if x1 <= x0 or y1 <= y0:
            continue
        layer = Image.new("L", ((x1 - x0) * factor, (y1 - y0) * factor))
        pen = ImageDraw.Draw(layer)
        shift = np.array([x0 * factor + 0.5, y0 * factor + 0.5])
        for polygon, hole in polygons:
            pen.polygon((polygon * factor - shift).ravel().tolist(), fill=0 if hole else 255)
        ink = np.asarray(layer.reduce(factor))
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
    rng = np.random.Generator(np.random.PCG64(spec.seed ^ 0x5EED5EED))
    height, width = ink.shape
    if spec.neighbours or spec.dot or spec.rule:
        ink = _intrude(ink, spec, rng)
    if spec.blur:
        ink = np.asarray(Image.fromarray(ink).filter(ImageFilter.GaussianBlur(spec.blur)))
    if spec.ink == 0 and spec.paper == 255 and not (spec.grain or spec.shade or spec.bleed or spec.seal):
        pixels = 255 - ink
    else:
        x, y = (int(v) for v in rng.integers(0, _BANK, 2))
        paper = np.full((height, width), float(spec.paper), np.float32)
        if spec.shade:
            paper += spec.shade * 0.5 * _patch(_bank()[1], y, x, height, width)
            slope = rng.random(2) - 0.5
            paper += spec.shade * (
                slope[0] * np.linspace(-1, 1, width)[None] + slope[1] * np.linspace(-1, 1, height)[:, None]
            )
        if spec.bleed:
            back = np.roll(ink[:, ::-1], tuple(int(v) for v in rng.integers(-6, 7, 2)), axis=(0, 1))
            back = np.asarray(Image.fromarray(np.ascontiguousarray(back)).filter(ImageFilter.GaussianBlur(1.2)))
            paper *= 1 - spec.bleed * back / 255.0
        if spec.seal:
            paper = _seal(paper, spec.seal, rng)
        share = ink.astype(np.float32) * (1 / 255)
        grey = paper + share * (spec.ink - paper)
        if spec.grain:
            grey += spec.grain * _patch(_bank()[0], x, y, height, width)
        pixels = np.clip(grey, 0, 255).astype(np.uint8)
    if spec.jpeg:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=spec.jpeg)
        pixels = np.asarray(Image.open(buffer))
    if geometry.scale != 1:
        size = (spec.size, spec.size)
        if spec.frame != "square":
            longer = max(width, height)
            size = (max(4, round(width * spec.size / longer)), max(4, round(height * spec.size / longer)))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    return pixels

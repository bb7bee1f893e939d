"""Ink on paper: blur, grain, shade, what other leaves and glyphs leave; everything before compression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from guqin_kg.draw.ink import bank, image_of, patch, pixels_of
from guqin_kg.draw.spec import Spec

LOTS = 24
"""Numbers of chance a picture may need here."""

Lot = Callable[[], float]
"""The next of them, in 0..1."""

_SLIGHT = 0.75
"""Blur (sigma in pixels) up to which three points do for a Gaussian."""


def printed(inks: Sequence[np.ndarray], specs: Sequence[Spec], lots: Sequence[Sequence[float]]) -> list[np.ndarray]:
    """The pictures as they are before compression, uint8.

    Args:
        inks: coverage of each picture, uint8.
        specs: of the pictures.
        lots: ``LOTS`` numbers in 0..1 for each.
    """
    ends = np.cumsum([ink.size for ink in inks]).tolist()
    ink_of = np.empty(ends[-1], np.float32)
    paper_of, grain_of = np.empty_like(ink_of), np.zeros_like(ink_of)
    places = list(zip([0, *ends], ends, strict=False))
    for ink, spec, numbers, (a, b) in zip(inks, specs, lots, places, strict=True):
        lot = iter(numbers).__next__
        if spec.neighbours or spec.dot or spec.rule:
            ink = _intrude(ink, spec, lot)
        soft, paper, grain = (v[a:b].reshape(ink.shape) for v in (ink_of, paper_of, grain_of))
        _blur(ink, spec.blur, soft)
        _lay(paper, grain, soft, spec, lot)
    # all pictures at once: the paper, darkened where ink lies, with its grain
    level = np.repeat(np.array([spec.ink for spec in specs], np.float32), [ink.size for ink in inks])
    level -= paper_of
    ink_of *= np.float32(1 / 255)
    ink_of *= level
    ink_of += paper_of
    ink_of += grain_of
    np.maximum(ink_of, 0, out=ink_of)
    np.minimum(ink_of, 255, out=ink_of)
    grey = ink_of.astype(np.uint8)
    return [grey[a:b].reshape(ink.shape) for ink, (a, b) in zip(inks, places, strict=True)]


def _blur(ink: np.ndarray, sigma: float, out: np.ndarray) -> None:
    """``ink`` blurred into ``out`` (float32); the edge continues outwards."""
    if sigma > _SLIGHT:
        out[...] = pixels_of(image_of(ink).filter(ImageFilter.GaussianBlur(sigma)))
        return
    out[...] = ink
    if not sigma:
        return
    aside = np.float32(0.5 * sigma * sigma)  # a point and its two neighbours with the variance of the Gaussian
    for points in (out, out.T):
        near = points * aside
        points *= 1 - 2 * aside
        points[1:] += near[:-1]
        points[:-1] += near[1:]
        points[0] += near[0]
        points[-1] += near[-1]


@lru_cache(maxsize=512)
def _ramp(length: int) -> np.ndarray:
    return np.linspace(-1, 1, length, dtype=np.float32)


def _lay(paper: np.ndarray, grain: np.ndarray, ink: np.ndarray, spec: Spec, lot: Lot) -> None:
    """Fill ``paper`` and ``grain`` of one picture."""
    height, width = paper.shape
    x, y = int(lot() * 256), int(lot() * 256)
    if spec.shade:
        across, down = (lot() - 0.5) * spec.shade, (lot() - 0.5) * spec.shade
        np.multiply(patch(bank()[1], y, x, height, width), np.float32(0.5 * spec.shade), out=paper)
        paper += _ramp(width) * np.float32(across) + np.float32(spec.paper)
        paper += _ramp(height)[:, None] * np.float32(down)
    else:
        paper.fill(spec.paper)
    if spec.bleed:
        back = np.roll(ink[:, ::-1].astype(np.uint8), (int(13 * lot()) - 6, int(13 * lot()) - 6), axis=(0, 1))
        back = pixels_of(image_of(back).filter(ImageFilter.GaussianBlur(1.2)))
        paper *= 1 - np.float32(spec.bleed / 255) * back
    if spec.seal:
        _seal(paper, spec.seal, lot)
    if spec.grain:
        np.multiply(patch(bank()[0], x, y, height, width), np.float32(spec.grain), out=grain)


def _intrude(ink: np.ndarray, spec: Spec, lot: Lot) -> np.ndarray:
    """Ink that is not the glyph's: neighbours reaching in, a small circle, a column line."""
    height, width = ink.shape
    out = ink.copy()
    for side in spec.neighbours:
        depth = max(1, int((0.03 + 0.09 * lot()) * (height if side in "tb" else width)))
        shift = int((lot() - 0.5) * (width // 2 + 1))
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
            x, y = width - r - 1 - 3 * lot(), height - r - 1 - 3 * lot()
            pen.ellipse((x - r, y - r, x + r, y + r), outline=230, width=max(1, round(0.02 * height)))
        if spec.rule:
            x = (1 + 2 * lot()) if spec.rule == "l" else width - 2 - 2 * lot()
            pen.line((x, 0, x + 2 * lot() - 1, height), fill=200, width=max(1, width // 48))
        out = np.asarray(layer)
    return out


def _seal(paper: np.ndarray, strength: float, lot: Lot) -> None:
    height, width = paper.shape
    layer = Image.new("L", (width, height))
    pen = ImageDraw.Draw(layer)
    side = 0.5 * max(width, height)
    x, y = (lot() - 0.3) * width, (lot() - 0.3) * height
    line = max(1, int(side / 14))
    pen.rectangle((x, y, x + side, y + side), outline=255, width=line)
    for i in range(1, 5):
        pen.line(
            (x + side * i / 5, y + side * 0.1, x + side * (i + lot() - 0.5) / 5, y + side * 0.9),
            fill=255,
            width=line,
        )
    paper *= 1 - np.float32(strength) * np.asarray(layer, np.float32) / 255

"""Crops spoilt as other scans, prints and cuts may have them: what a recogniser stands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Spoil = Callable[[Image.Image, Image.Image], Image.Image]
"""A grey crop and another one (a neighbour) to the crop spoilt."""


def _paper(image: Image.Image) -> int:
    return int(np.percentile(np.asarray(image), 90))


def _padded(image: Image.Image, share: float) -> Image.Image:
    width, height = image.size
    margin = int(share * max(width, height))
    out = Image.new("L", (width + 2 * margin, height + 2 * margin), _paper(image))
    out.paste(image, (margin, margin))
    return out


def _sized(image: Image.Image, by: float, sharply: bool = True) -> Image.Image:
    size = (max(4, round(image.width * by)), max(4, round(image.height * by)))
    return image.resize(size, Image.Resampling.BICUBIC if sharply else Image.Resampling.BILINEAR)


def _ruled(image: Image.Image, places: tuple[float, ...], slant: float = 0.0) -> Image.Image:
    out = _sized(_padded(image, 0.12), 3)
    thick = max(2, round(0.03 * out.width))
    for place in places:
        x = round(place * (out.width - 1))
        ImageDraw.Draw(out).line((x, 0, x + slant * out.height, out.height), fill=60, width=thick)
    return out


def _beside(image: Image.Image, other: Image.Image, share: float) -> Image.Image:
    """With the foot of one neighbour above and the head of one below, some paper between."""
    width, height = image.size
    cut, gap = max(2, round(share * height)), round(0.06 * height) + 1
    other = other.resize((width, height))
    out = Image.new("L", (width, height + 2 * (cut + gap)), _paper(image))
    out.paste(image, (0, cut + gap))
    out.paste(other.crop((0, height - cut, width, height)), (0, 0))
    out.paste(other.crop((0, 0, width, cut)), (0, height + cut + 2 * gap))
    return out


def _specked(image: Image.Image, count: int) -> Image.Image:
    out = _padded(image, 0.2)
    rng = np.random.default_rng([image.width, image.height])
    for _ in range(count):
        x, y = (int(rng.integers(0, size)) for size in out.size)
        ImageDraw.Draw(out).rectangle((x, y, x + 1, y + 1), fill=60)
    return out


def _noisy(image: Image.Image, deviation: float) -> Image.Image:
    values = np.asarray(image, np.float64)
    values = values + np.random.default_rng([image.width, image.height]).normal(0, deviation, values.shape)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _grey(image: Image.Image, low: int, high: int) -> Image.Image:
    return Image.fromarray((low + (high - low) * (np.asarray(image, np.float64) / 255)).astype(np.uint8))


def _turned(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=_paper(image))


WAYS: dict[str, Spoil] = {
    "as they are": lambda image, _: image,
    "more paper around": lambda image, _: _padded(image, 0.4),
    "a rule at one side": lambda image, _: _ruled(image, (0.02,)),
    "rules at both sides": lambda image, _: _ruled(image, (0.02, 0.98)),
    "a slanting rule": lambda image, _: _ruled(image, (0.01,), 0.02),
    "scraps of neighbours": lambda image, other: _beside(image, other, 0.08),
    "six specks": lambda image, _: _specked(image, 6),
    "noise": lambda image, _: _noisy(image, 25),
    "faint ink": lambda image, _: _grey(image, 110, 190),
    "half the size": lambda image, _: _sized(image, 0.5, sharply=False),
    "out of focus": lambda image, _: _sized(image, 2).filter(ImageFilter.GaussianBlur(2)),
    "thick strokes": lambda image, _: _sized(image, 2).filter(ImageFilter.MinFilter(3)),
    "thin strokes": lambda image, _: _sized(image, 2).filter(ImageFilter.MaxFilter(3)),
    "turned by 4 degrees": lambda image, _: _turned(image, -4),
    "a third wider": lambda image, _: image.resize((round(image.width * 1.3), image.height)),
}
"""Names of the ways, and what each does to a grey crop; all are made the same again for the same crop."""

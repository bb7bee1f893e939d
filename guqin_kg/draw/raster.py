"""From ink to grey pixels: paper, what time and scanners add. A pure function of the specification."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from guqin_kg.draw.engine import Engine, default_engine
from guqin_kg.draw.ink import INK_LEVEL, bank, cover, covers, image_of, patch, pixels_of
from guqin_kg.draw.layout import Layout
from guqin_kg.draw.spec import Spec, check_size

__all__ = ["INK_LEVEL", "Drawing", "cover", "draw_spec", "draw_specs"]

Lot = Callable[[], float]
"""The next number of chance of a picture, in 0..1."""

_LOTS = 24
_SIDE = 65_000  # no JPEG is larger


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


@lru_cache(maxsize=512)
def _ramp(length: int) -> np.ndarray:
    return np.linspace(-1, 1, length, dtype=np.float32)


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


def _seal(paper: np.ndarray, strength: float, lot: Lot) -> np.ndarray:
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
    return draw_specs([spec], engine)[0]


def draw_specs(specs: Sequence[Spec], engine: Engine | None = None) -> list[Drawing]:
    """Draw many pictures, each the same as :func:`draw_spec` draws it; a hundred at once cost a third of the time.

    Args:
        specs: of the pictures; all are in memory at once.
        engine: of another graph (default: the released graph).

    Raises:
        UsageError, MissingFormError, MissingOutlineError, NotFoundError: as :func:`draw_spec`.
    """
    for spec in specs:
        check_size(spec.size)
    if not specs:
        return []
    batch = (engine or default_engine()).geometries(specs)
    inked = covers(batch, specs)
    lots = batch.chance.uniform(_LOTS).tolist()
    native = [_native(ink, spec, iter(lot)) for (ink, _), spec, lot in zip(inked, specs, lots, strict=True)]
    _compress(native, specs)
    out = []
    for pixels, (_, boxes), spec, geometry in zip(native, inked, specs, batch.pictures, strict=True):
        if geometry.scale != 1:
            pixels = _enlarged(pixels, spec)
            height, width = pixels.shape
            boxes[:, 0::2] *= width / geometry.width
            boxes[:, 1::2] *= height / geometry.height
        out.append(Drawing(pixels, boxes, geometry.prepared.layout, spec))
    return out


def _native(ink: np.ndarray, spec: Spec, lots: Iterator[float]) -> np.ndarray:
    """Everything before compression that is not the glyph's own ink: neighbours, blur, paper, grain."""
    lot: Lot = lots.__next__
    if spec.neighbours or spec.dot or spec.rule:
        ink = _intrude(ink, spec, lot)
    if spec.blur:
        ink = pixels_of(image_of(ink).filter(ImageFilter.GaussianBlur(spec.blur)))
    if spec.ink == 0 and spec.paper == 255 and not (spec.grain or spec.shade or spec.bleed or spec.seal):
        return 255 - ink
    return _on_paper(ink, spec, lot)


def _compress(pictures: list[np.ndarray], specs: Sequence[Spec]) -> None:
    """Pass the pictures that want it through JPEG, in place.

    Pictures of one quality go through it together: JPEG works on squares of 8 x 8, so pictures that begin on such a
    square, filled up by repeating the last row and column as encoders do, come out as if alone.
    """
    groups: dict[int, list[int]] = {}
    for i, spec in enumerate(specs):
        if spec.jpeg:
            groups.setdefault(spec.jpeg, []).append(i)
    for quality, members in groups.items():
        sheet: list[int] = []
        tall = 0
        for i in members:
            height = -(-pictures[i].shape[0] // 8) * 8
            if tall + height > _SIDE:
                _compress_sheet(pictures, sheet, quality)
                sheet, tall = [], 0
            sheet.append(i)
            tall += height
        _compress_sheet(pictures, sheet, quality)


def _compress_sheet(pictures: list[np.ndarray], members: list[int], quality: int) -> None:
    shapes = [pictures[i].shape for i in members]
    tops = [0]
    for height, _ in shapes:
        tops.append(tops[-1] + -(-height // 8) * 8)
    sheet = np.zeros((tops[-1], -(-max(width for _, width in shapes) // 8) * 8), np.uint8)
    for i, top, below, (height, width) in zip(members, tops, tops[1:], shapes, strict=False):
        right = -(-width // 8) * 8
        sheet[top : top + height, :width] = pictures[i]
        sheet[top : top + height, width:right] = pictures[i][:, -1:]
        sheet[top + height : below, :right] = sheet[top + height - 1, :right]
    buffer = io.BytesIO()
    image_of(sheet).save(buffer, "JPEG", quality=quality)
    done = pixels_of(Image.open(buffer))
    for i, top, (height, width) in zip(members, tops, shapes, strict=False):
        pictures[i] = done[top : top + height, :width]


def _enlarged(pixels: np.ndarray, spec: Spec) -> np.ndarray:
    height, width = pixels.shape
    size = (spec.size, spec.size)
    if spec.frame != "square":
        longer = max(width, height)
        size = (max(4, round(width * spec.size / longer)), max(4, round(height * spec.size / longer)))
    return pixels_of(image_of(pixels).resize(size, Image.Resampling.BILINEAR))


def _on_paper(ink: np.ndarray, spec: Spec, lot: Lot) -> np.ndarray:
    height, width = ink.shape
    x, y = int(lot() * 256), int(lot() * 256)
    paper: np.ndarray | float = float(spec.paper)
    if spec.shade:
        across, down = (lot() - 0.5) * spec.shade, (lot() - 0.5) * spec.shade
        paper = patch(bank()[1], y, x, height, width) * np.float32(0.5 * spec.shade)
        paper += _ramp(width) * np.float32(across) + np.float32(spec.paper)
        paper += _ramp(height)[:, None] * np.float32(down)
    if spec.bleed:
        back = np.roll(ink[:, ::-1], (int(13 * lot()) - 6, int(13 * lot()) - 6), axis=(0, 1))
        back = pixels_of(image_of(back).filter(ImageFilter.GaussianBlur(1.2)))
        paper = paper * (1 - np.float32(spec.bleed / 255) * back)
    if spec.seal:
        paper = _seal(paper + np.zeros((height, width), np.float32), spec.seal, lot)
    grey = ink * np.float32(1 / 255)
    grey *= np.float32(spec.ink) - paper
    grey += paper
    if spec.grain:
        grey += np.float32(spec.grain) * patch(bank()[0], x, y, height, width)
    np.maximum(grey, 0, out=grey)
    np.minimum(grey, 255, out=grey)
    return grey.astype(np.uint8)

"""From a clean drawn glyph to something like a crop of a scanned print.

What was seen on crops of real pages: they are small (a glyph is 25 to 60 pixels high), cut close or into the glyph,
parts of the neighbours and little circles look in at the edges, the ink runs or breaks, the paper is grey and
speckled. Other books are scanned, printed and cut worse: feet and heads of the neighbours, heavy ink, few pixels, no
sharpness (``worse``). All by one random generator; boxes follow the picture.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from guqin_kg.recognise.images import Fitted, fit, ink_box

Boxes = np.ndarray


def degrade(
    grey: np.ndarray,
    boxes: Boxes,
    rng: np.random.Generator,
    neighbours: list[np.ndarray],
    height: int,
    width: int,
    worse: bool = False,
) -> tuple[np.ndarray, Boxes]:
    """A window of the network and the boxes in it.

    Args:
        grey: uint8, ink dark on white.
        boxes: ``(n, 4)`` x0, y0, x1, y1 in pixels of ``grey``; NaN rows stay NaN.
        rng: source of randomness.
        neighbours: other drawn glyphs, for what looks in at the edges.
        height: of the window.
        width: of the window.
        worse: spoilt as in a bad scan or print.

    Returns:
        uint8 ``(height, width)``, ink 255, and boxes in 0..1 of it.
    """
    clean = not worse and rng.random() < 0.15
    page, boxes = _place(grey, boxes, rng, neighbours, clean)
    if worse:
        page, boxes = _worse_cut(page, boxes, rng, neighbours)
    image = Image.fromarray(page)
    if worse and rng.random() < 0.3:  # ink that ran
        image = image.filter(ImageFilter.MinFilter(3))
    if not clean:
        coarse = worse and rng.random() < 0.4
        tall = float(np.exp(rng.uniform(*np.log((18, 40) if coarse else (30, 90)))))
        scale = min(1.0, tall / image.height)
        size = (max(4, round(image.width * scale)), max(4, round(image.height * scale)))
        resample = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS)[rng.integers(3)]
        boxes = boxes * (size[0] / image.width, size[1] / image.height, size[0] / image.width, size[1] / image.height)
        image = image.resize(size, resample)
        if worse and not coarse and rng.random() < 0.4:  # out of focus
            image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.008, 0.024)) * max(size)))
        image = _spoil(image, rng)
    fitted = fit(np.asarray(image), height, width)
    return fitted.pixels, boxes_in(fitted, boxes, height, width)


def _place(
    grey: np.ndarray, boxes: Boxes, rng: np.random.Generator, neighbours: list[np.ndarray], clean: bool
) -> tuple[np.ndarray, Boxes]:
    """The glyph on a piece of page: margins (or cuts), neighbours above and below, marks."""
    found = ink_box(255 - grey)
    if found is None:
        return grey, boxes
    x0, y0, x1, y1 = found
    glyph = grey[y0:y1, x0:x1]
    boxes = boxes - np.array([x0, y0, x0, y0], np.float32)
    if clean:
        page = np.pad(glyph, 4, constant_values=255)
        return page, boxes + 4
    rows, columns = glyph.shape
    size = max(rows, columns)
    # margins; negative ones cut into the glyph, never deep
    margins = rng.uniform(-0.01, 0.09, 4) * size
    if rng.random() < 0.12:
        margins[rng.integers(4)] = -rng.uniform(0.02, 0.05) * size
    margins = np.maximum(margins, -0.25 * np.repeat(glyph.shape, 2))  # something is left of a thin one
    top, bottom, left, right = np.round(margins).astype(int)
    page = np.full((rows + max(0, top) + max(0, bottom), columns + max(0, left) + max(0, right)), 255, np.uint8)
    dy, dx = max(0, top), max(0, left)
    page[dy : dy + rows, dx : dx + columns] = glyph
    if neighbours and rng.random() < 0.3:
        page = _intrude(page, rng, neighbours, dy, page.shape[0] - dy - rows, dx, page.shape[1] - dx - columns)
    if rng.random() < 0.08:
        page = _circle(page, rng)
    cut_top, cut_left = max(0, -top), max(0, -left)
    page = page[cut_top : page.shape[0] - max(0, -bottom) or None, cut_left : page.shape[1] - max(0, -right) or None]
    move = np.array([dx - cut_left, dy - cut_top] * 2, np.float32)
    limit = np.array([page.shape[1], page.shape[0]] * 2, np.float32)
    return page, np.clip(boxes + move, 0, limit)


def _intrude(
    page: np.ndarray,
    rng: np.random.Generator,
    neighbours: list[np.ndarray],
    top: int,
    bottom: int,
    left: int,
    right: int,
) -> np.ndarray:
    """Let the edge of another glyph show: mostly from below or above, as in a column of text."""
    other = neighbours[rng.integers(len(neighbours))]
    found = ink_box(255 - other)
    if found is None:
        return page
    x0, y0, x1, y1 = found
    other = other[y0:y1, x0:x1]
    side = rng.choice(4, p=[0.42, 0.38, 0.1, 0.1])
    room = (bottom, top, right, left)[side]
    depth = min(max(2, round(rng.uniform(0.02, 0.09) * max(page.shape))), max(2, room + 2), page.shape[side // 2])
    page = page.copy()
    if side < 2:
        wide = min(page.shape[1], other.shape[1])
        strip = other[:depth, :wide] if side == 0 else other[-depth:, :wide]
        at = rng.integers(0, page.shape[1] - wide + 1)
        rows = slice(page.shape[0] - len(strip), None) if side == 0 else slice(0, len(strip))
        page[rows, at : at + wide] = np.minimum(page[rows, at : at + wide], strip)
    else:
        tall = min(page.shape[0], other.shape[0])
        strip = other[:tall, :depth] if side == 2 else other[:tall, -depth:]
        at = rng.integers(0, page.shape[0] - tall + 1)
        columns = slice(page.shape[1] - strip.shape[1], None) if side == 2 else slice(0, strip.shape[1])
        page[at : at + tall, columns] = np.minimum(page[at : at + tall, columns], strip)
    return page


def _worse_cut(
    page: np.ndarray, boxes: Boxes, rng: np.random.Generator, neighbours: list[np.ndarray]
) -> tuple[np.ndarray, Boxes]:
    """Proportions of another hand, the foot of the glyph above and the head of the one below, square specks."""
    if rng.random() < 0.25:
        wide = float(np.exp(rng.normal(0, 0.2)))
        image = Image.fromarray(page)
        page = np.asarray(image.resize((max(4, round(image.width * wide)), image.height), Image.Resampling.BILINEAR))
        boxes = boxes * np.array([wide, 1, wide, 1], np.float32)
    if neighbours and rng.random() < 0.45:
        sides = ((True, False), (False, True), (True, True))[rng.integers(3)]
        for above, wanted in zip((True, False), sides, strict=True):
            if wanted:
                page, boxes = _neighbour(page, boxes, rng, neighbours[rng.integers(len(neighbours))], above)
    if rng.random() < 0.2:
        page = page.copy()
        for _ in range(rng.integers(1, 7)):
            size = max(1, round(float(rng.uniform(0.02, 0.06)) * max(page.shape)))
            y, x = rng.integers(0, page.shape[0]), rng.integers(0, page.shape[1])
            page[y : y + size, x : x + size] = rng.integers(0, 90)
    return page, boxes


def _neighbour(
    page: np.ndarray, boxes: Boxes, rng: np.random.Generator, other: np.ndarray, above: bool
) -> tuple[np.ndarray, Boxes]:
    """The page with a strip of another glyph above or below, a gap between, or a little into the glyph's margin."""
    found = ink_box(255 - other)
    if found is None:
        return page, boxes
    x0, y0, x1, y1 = found
    rows, columns = page.shape
    deep = max(2, round(float(rng.uniform(0.03, 0.13)) * rows))
    image = Image.fromarray(other[y0:y1, x0:x1])
    wide = min(columns, max(4, round(columns * float(rng.uniform(0.75, 1.0)))))
    image = image.resize((wide, max(deep, round(image.height * wide / image.width))), Image.Resampling.BILINEAR)
    strip = np.asarray(image)[-deep:] if above else np.asarray(image)[:deep]
    gap = round(float(rng.uniform(-0.03, 0.08)) * rows)
    grown = max(0, deep + gap)
    out = np.full((rows + grown, columns), 255, np.uint8)
    top = grown if above else 0
    out[top : top + rows] = page
    at = slice(0, deep) if above else slice(len(out) - deep, None)
    left = int(rng.integers(0, columns - wide + 1))
    out[at, left : left + wide] = np.minimum(out[at, left : left + wide], strip)
    return out, boxes + np.array([0, top, 0, top], np.float32)


def _circle(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A punctuation circle in a lower corner."""
    image = Image.fromarray(page)
    size = rng.uniform(0.09, 0.15) * max(page.shape)
    x = rng.choice([rng.uniform(0, 0.1), rng.uniform(0.85, 0.98)]) * page.shape[1]
    y = rng.uniform(0.84, 0.97) * page.shape[0]
    ImageDraw.Draw(image).ellipse(
        (x - size / 2, y - size / 2, x + size / 2, y + size / 2), outline=0, width=max(1, round(size / 5))
    )
    return np.asarray(image)


def _spoil(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Blur, ink that runs or breaks, grey speckled paper."""
    values = np.asarray(image, np.float32) / 255
    if rng.random() < 0.5:
        blurred = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 0.7))))
        values = np.asarray(blurred, np.float32) / 255
    if rng.random() < 0.5:  # photocopy: a steep curve around a random level
        level, steep = rng.uniform(0.35, 0.75), np.exp(rng.uniform(np.log(4), np.log(30)))
        values = 1 / (1 + np.exp(-(values - level) * steep))
    if rng.random() < 0.3:  # worn ink: low-frequency fading
        coarse = rng.uniform(0, 1, (4, 4)).astype(np.float32)
        fade = np.asarray(Image.fromarray(coarse).resize(image.size, Image.Resampling.BICUBIC))
        values = values + (1 - values) * np.clip(fade - 0.55, 0, 0.6)
    paper = rng.uniform(0.75, 1.0)
    ink = rng.uniform(0.0, 0.3)
    values = ink + (paper - ink) * values
    values = values + rng.normal(0, rng.uniform(0, 0.06), values.shape)
    if rng.random() < 0.15:
        specks = rng.random(values.shape) < rng.uniform(0.001, 0.01)
        values = np.where(specks, 1 - values, values)
    return Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))


def boxes_in(fitted: Fitted, boxes: Boxes, height: int, width: int) -> Boxes:
    """Boxes in pixels of a picture as boxes in 0..1 of the window that it was fitted into."""
    scaled = boxes * fitted.scale + np.array([*fitted.offset, *fitted.offset], np.float32)
    return np.clip(scaled / np.array([width, height, width, height], np.float32), 0, 1)

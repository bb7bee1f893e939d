"""From a specification to grey pixels. A pure function: what else is drawn at the same time makes no difference."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from guqin_kg.draw.engine import Engine, default_engine
from guqin_kg.draw.ink import INK_LEVEL, cover, covers, image_of, pixels_of
from guqin_kg.draw.layout import Layout
from guqin_kg.draw.paper import LOTS, printed
from guqin_kg.draw.polygons import Geometry
from guqin_kg.draw.spec import Spec, check_size

__all__ = ["INK_LEVEL", "Drawing", "cover", "draw_spec", "draw_specs"]

_PIXELS = 250_000
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
    """Draw many pictures, each the same as :func:`draw_spec` draws it; a thousand at once cost a third of the time.

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
    engine = engine or default_engine()
    inked: list[tuple[np.ndarray, np.ndarray]] = []
    native: list[np.ndarray] = []
    pictures: list[Geometry] = []
    for part in _portions(specs):
        batch = engine.geometries(part)
        found = covers(batch, part)
        native += printed([ink for ink, _ in found], part, batch.chance.uniform(LOTS).tolist())
        inked += found
        pictures += batch.pictures
    _compress(native, specs)
    out = []
    for pixels, (_, boxes), spec, geometry in zip(native, inked, specs, pictures, strict=True):
        if geometry.scale != 1:
            pixels = _enlarged(pixels, spec)
            height, width = pixels.shape
            boxes[:, 0::2] *= width / geometry.width
            boxes[:, 1::2] *= height / geometry.height
        out.append(Drawing(pixels, boxes, geometry.prepared.layout, spec))
    return out


def _portions(specs: Sequence[Spec]) -> Iterator[Sequence[Spec]]:
    """As many pictures at once as share the work of a step well and leave its arrays in the processor's cache."""
    first = pixels = 0
    for i, spec in enumerate(specs):
        pixels += (spec.resolution or spec.size) ** 2
        if pixels >= _PIXELS or i + 1 == len(specs):
            yield specs[first : i + 1]
            first, pixels = i + 1, 0


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

"""Any image file to the small grey picture the recogniser looks at.

Accepts the raster formats of ``FORMATS``: grey, colour, palette, CMYK, alpha, 10 to 32 bits, float, rotated by EXIF.
The picture is turned upright, put on white, made dark-on-light, cut to its ink and fitted into the network's window
without changing its proportions.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from guqin_kg.errors import DataError, LimitError, NotFoundError
from guqin_kg.recognise.surroundings import glyph_box, without_rules

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 40_000_000
"""Larger files are refused before they are decoded."""

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000", "AVIF")
"""All that is opened, in Pillow's names; it knows others whose pictures are programs (EPS) or run some."""

_KINDS = "PNG, JPEG, TIFF, WebP, GIF, BMP, PPM, JPEG 2000 or AVIF"

_DEPTHS = (8, 10, 12, 14, 16)
"""Bits that scanners and cameras fill."""

_OVERSHOOT = 1.1
"""What resampling adds to white at most, in float pictures."""

_SAMPLE_FORMAT, _UNSIGNED = 339, 1
"""The TIFF tag that says how a number is meant, and its value for unsigned integers."""

_INK = 90
"""What is brighter counts as ink, in a picture with ink at 255."""

_CONTRAST = 24
"""Grey levels between paper and ink below which a picture counts as blank."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A picture in the network's window.

    Attributes:
        pixels: uint8 ``(height, width)``, ink 255, paper 0.
        scale: window pixels for one pixel of the file's picture.
        offset: ``(x, y)`` in window pixels of the file's top left corner.
        size: ``(width, height)`` of the file's picture (after EXIF rotation).
        blank: whether there was no ink at all.
    """

    pixels: np.ndarray
    scale: float
    offset: tuple[float, float]
    size: tuple[int, int]
    blank: bool

    def to_file(self, box: tuple[float, float, float, float]) -> list[float]:
        """A window box ``x0, y0, x1, y1`` in 0..1 as ``[x, y, w, h]`` in pixels of the file, cut to the picture."""
        height, width = self.pixels.shape
        x0, x1 = ((v * width - self.offset[0]) / self.scale for v in (box[0], box[2]))
        y0, y1 = ((v * height - self.offset[1]) / self.scale for v in (box[1], box[3]))
        x0, x1 = sorted((min(max(x0, 0), self.size[0]), min(max(x1, 0), self.size[0])))
        y0, y1 = sorted((min(max(y0, 0), self.size[1]), min(max(y1, 0), self.size[1])))
        return [round(x0, 1), round(y0, 1), round(x1 - x0, 1), round(y1 - y0, 1)]


def load_grey(path: str | Path) -> np.ndarray:
    """Read a picture as uint8 grey ``(height, width)``, on white, upright.

    Raises:
        NotFoundError: no such file.
        DataError: not an image of a format that is read, or damaged.
        LimitError: more than ``MAX_PIXELS`` pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    try:
        if path.is_dir():
            raise DataError(
                "this is a folder, not a picture", code="bad-image", file=path, hint=f"give its pictures: {path}/*.png"
            )
        if not path.is_file():
            raise NotFoundError(f"no image file {path}", hint="give the path of a PNG, JPEG, TIFF or other picture")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_formats()) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise _too_large(f"{image.width} x {image.height} pixels", path)
                image.load()
                # Pillow holds 32-bit integers as signed ones, and the tags do not outlive the turning
                tag = getattr(image, "tag_v2", {}).get(_SAMPLE_FORMAT, ())
                unsigned = image.mode == "I" and tag in (_UNSIGNED, (_UNSIGNED,))
                upright = ImageOps.exif_transpose(image)
                return to_grey(upright if upright is not None else image, unsigned)
    except (LimitError, DataError, NotFoundError):
        raise
    except Image.DecompressionBombError:  # Pillow's own limit, reached before ours can be looked at
        raise _too_large("hundreds of millions of pixels", path) from None
    except UnidentifiedImageError:
        raise DataError(
            "the file is empty" if not path.stat().st_size else "this is no picture of a known kind",
            code="bad-image",
            file=path,
            hint=f"give a whole picture: {_KINDS}",
        ) from None
    except Exception as error:  # decoders raise anything (RuntimeError, NotImplementedError, KeyError …)
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"cannot read this picture: {reason}",
            code="bad-image",
            file=path,
            hint=f"is the file complete, and a {_KINDS}?",
        ) from None


@cache
def _formats() -> tuple[str, ...]:
    """``FORMATS`` as far as this Pillow has them (AVIF came with 11.3; asked for one it lacks, it fails)."""
    absent = set() if importlib.util.find_spec("PIL.AvifImagePlugin") else {"AVIF"}
    return tuple(name for name in FORMATS if name not in absent)


def _too_large(size: str, path: Path) -> LimitError:
    return LimitError(
        f"the picture has {size}; at most {MAX_PIXELS // 10**6} million are read",
        code="image-too-large",
        file=path,
        hint="cut out the glyphs first: the recogniser reads one glyph a picture",
    )


def to_grey(image: Image, unsigned: bool = False) -> np.ndarray:
    """A Pillow picture of any mode as uint8 grey; what is transparent becomes white (black behind light ink).

    Args:
        image: the picture.
        unsigned: its 32-bit integers are unsigned, whatever Pillow takes them for.
    """
    from PIL import Image

    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        numbers = np.asarray(image)
        values = (numbers.astype(np.int32).view(np.uint32) if unsigned else numbers).astype(np.float64)
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        white = _white(float(values.max(initial=0.0)), image.mode == "F")
        return np.clip(values / white * 255.0, 0, 255).astype(np.uint8)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        seen = image.convert("RGBA")
        pixels = np.asarray(seen)
        ink = pixels[pixels[..., 3] > 127]
        # light ink on nothing is meant for dark paper; on white it could not be seen
        paper = 0 if len(ink) < pixels[..., 3].size and len(ink) and ink[:, :3].min() > 255 - _CONTRAST else 255
        image = Image.alpha_composite(Image.new("RGBA", seen.size, (paper, paper, paper, 255)), seen)
    if image.mode == "CMYK":
        image = image.convert("RGB")
    return np.asarray(image.convert("L"), dtype=np.uint8)


def _white(top: float, floating: bool) -> float:
    """The value of white in a deep picture whose largest is ``top``: the nominal one, where ``top`` comes near it."""
    nominal = [2.0**bits - 1 for bits in _DEPTHS]
    if not floating:
        return next((white for white in nominal if top <= white), top)
    if top <= _OVERSHOOT:
        return 1.0
    return next((white for white in nominal if white / 8 < top <= white * _OVERSHOOT), top)


def fit(grey: np.ndarray, height: int, width: int, margin: int = 1) -> Fitted:
    """Cut a grey picture to its ink and fit it into ``height`` x ``width``, proportions kept, ink bright."""
    from PIL import Image

    rows, columns = grey.shape
    ink = without_rules(to_ink(grey), _INK)
    box = ink_box(ink)
    if box is None:
        return Fitted(np.zeros((height, width), np.uint8), 1.0, (0.0, 0.0), (columns, rows), True)
    x0, y0, x1, y1 = box
    scale = min((width - 2 * margin) / (x1 - x0), (height - 2 * margin) / (y1 - y0))
    new = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    small = Image.fromarray(ink[y0:y1, x0:x1]).resize(new, Image.Resampling.BILINEAR)
    left, top = (width - new[0]) // 2, (height - new[1]) // 2
    window = np.zeros((height, width), np.uint8)
    window[top : top + new[1], left : left + new[0]] = np.asarray(small)
    return Fitted(window, scale, (left - x0 * scale, top - y0 * scale), (columns, rows), False)


def to_ink(grey: np.ndarray) -> np.ndarray:
    """Ink bright (255) on paper (0): contrast stretched, light-on-dark pictures turned round, blanks left empty."""
    low, middle, high = np.percentile(grey, (1, 50, 99))
    if high - low < _CONTRAST:
        low, high = float(grey.min(initial=255)), float(grey.max(initial=0))
        if high - low < _CONTRAST:
            return np.zeros_like(grey)
        middle = float(np.median(grey))
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    dark_paper = middle < (low + high) / 2 and float(np.median(border)) < (low + high) / 2
    value = np.clip((grey.astype(np.float32) - low) / (high - low), 0, 1)
    return ((value if dark_paper else 1 - value) * 255).astype(np.uint8)


def ink_box(ink: np.ndarray, threshold: int = _INK) -> tuple[int, int, int, int] | None:
    """``x0, y0, x1, y1`` of the glyph whose ink is brighter than ``threshold``; None when there is none.

    Specks and scraps of neighbours around it are left out.
    """
    dark = ink > threshold
    if min(dark.shape) > 2:
        around = np.pad(dark, 1).astype(np.uint8)
        columns = around[:, :-2] + around[:, 1:-1] + around[:, 2:]
        dark &= columns[:-2] + columns[1:-1] + columns[2:] > 1
    return glyph_box(dark)

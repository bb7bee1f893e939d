"""Fonts on this machine: found by file name, opened by fontTools, never shipped.

Where they are looked for: ``$GUQIN_FONTS`` (folders, separated as in ``$PATH``), ``fonts`` and ``node_modules`` of
the current folder and of its parents, the user's and the system's font folders.
"""

from __future__ import annotations

import logging
import os
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg.draw.character import Ink, contour_ink
from guqin_kg.errors import DataError, NotFoundError

# odd dates and table lengths of a font are no concern of those who draw with it
logging.getLogger("fontTools").setLevel(logging.ERROR)

_SUFFIXES = {".ttf", ".otf", ".ttc", ".woff"}


def folders() -> list[Path]:
    """Folders searched, in order; those that do not exist are left out."""
    named = [Path(p) for p in os.environ.get("GUQIN_FONTS", "").split(os.pathsep) if p]
    here = Path.cwd()
    near = [p / d for p in (here, *here.parents) for d in ("fonts", "node_modules")]
    home = Path.home()
    system = [
        home / ".local/share/fonts", home / ".fonts", home / "Library/Fonts", Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"), Path("/Library/Fonts"), Path("/System/Library/Fonts"), Path("C:/Windows/Fonts"),
    ]  # fmt: skip
    return [p for p in (*named, *near, *system) if p.is_dir()]


@lru_cache(maxsize=8)
def _files(places: tuple[Path, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for place in places:
        inner = place / "@fontsource" if place.name == "node_modules" else place
        if not inner.is_dir():
            continue
        for root, _, names in os.walk(inner):
            for name in names:
                if Path(name).suffix.lower() in _SUFFIXES:
                    found.setdefault(name.lower(), Path(root) / name)
    return found


def find(names: tuple[str, ...]) -> Path | None:
    """The first of the file ``names`` found in :func:`folders`."""
    files = _files(tuple(folders()))
    for name in names:
        if name.lower() in files:
            return files[name.lower()]
    return None


class FontFile:
    """A font opened for its outlines.

    Args:
        path: TrueType, OpenType, collection or WOFF file.
        number: face of a collection.
        without: characters whose glyph in this font is another sign; they count as lacking.

    Raises:
        NotFoundError: no such file.
        DataError: not a font fontTools can read.
    """

    def __init__(self, path: Path, number: int = 0, without: str = "") -> None:
        from fontTools.ttLib import TTFont, TTLibError

        if not path.is_file():
            raise NotFoundError(
                f"no font file {path}", hint="guqin fonts lists the styles and how to install their fonts"
            )
        try:
            self._font: Any = TTFont(path, fontNumber=number, lazy=True)
            self._cmap: dict[int, str] = self._font.getBestCmap()
            self._glyphs: Any = self._font.getGlyphSet()
            self._units = float(self._font["head"].unitsPerEm)
        except (TTLibError, OSError, KeyError, AssertionError, ImportError) as error:
            raise DataError(
                f"cannot read this font ({error})", file=path, hint="use a TTF, OTF, TTC or WOFF file"
            ) from None
        for char in without:
            self._cmap.pop(ord(char), None)
        self.name = path.name
        self.path = path
        self._inks: dict[str, Ink | None] = {}

    def has(self, char: str) -> bool:
        """Whether the font has a glyph with ink for ``char``."""
        if len(char) != 1 or ord(char) not in self._cmap:
            return False
        return self._ink(char) is not None

    def ink(self, char: str) -> Ink:
        """Contours of ``char`` as ink.

        Raises:
            DataError: ``missing-outline``; the font lacks it, or its glyph is empty.
        """
        found = self._ink(char) if len(char) == 1 and ord(char) in self._cmap else None
        if found is None:
            raise DataError(f"the font {self.name} draws nothing for {char}", code="missing-outline")
        return found

    def _ink(self, char: str) -> Ink | None:
        """Ink of a character that the font lists; None where it lists an empty glyph."""
        if char not in self._inks:
            from fontTools.pens.recordingPen import DecomposingRecordingPen

            pen = DecomposingRecordingPen(self._glyphs)
            self._glyphs[self._cmap[ord(char)]].draw(pen)
            contours = _flatten(pen.value, self._units / 1000)
            self._inks[char] = contour_ink(contours) if contours else None
        return self._inks[char]


def _flatten(record: list[tuple[str, tuple[tuple[float, float], ...]]], scale: float) -> list[np.ndarray]:
    """Contours of a pen recording as point arrays, y down, 1000 units to the em."""
    out: list[np.ndarray] = []
    points: list[tuple[float, float]] = []

    def bezier(control: list[tuple[float, float]]) -> None:
        a = np.array(control)
        length = float(np.linalg.norm(np.diff(a, axis=0), axis=1).sum()) / scale
        n = int(min(8, max(2, round(length / 45))))
        t = np.linspace(0, 1, n + 1)[1:, None]
        while len(a) > 1:  # de Casteljau, all t at once
            a = a[None] if a.ndim == 2 else a
            a = a[:, :-1] * (1 - t[:, None]) + a[:, 1:] * t[:, None]
            if a.shape[1] == 1:
                break
        points.extend((float(x), float(y)) for x, y in a[:, 0])

    for command, args in record:
        if command == "moveTo":
            points = [args[0]]
        elif command == "lineTo":
            points.append(args[0])
        elif command == "curveTo":
            bezier([points[-1], *args])
        elif command == "qCurveTo":
            if args[-1] is None:  # a contour of off-curve points only
                offs = list(args[:-1])
                start = ((offs[-1][0] + offs[0][0]) / 2, (offs[-1][1] + offs[0][1]) / 2)
                points = [start]
                args = (*offs, start)
            offs = list(args[:-1])
            for i, off in enumerate(offs):
                on = args[-1] if i == len(offs) - 1 else ((off[0] + offs[i + 1][0]) / 2, (off[1] + offs[i + 1][1]) / 2)
                bezier([points[-1], off, on])
        elif command in ("closePath", "endPath") and len(points) > 2:
            out.append(np.array(points) * (1 / scale, -1 / scale))
            points = []
    return out


@cache
def open_font(path: Path, number: int = 0, without: str = "") -> FontFile:
    """A font, opened once in a process.

    Raises:
        NotFoundError, DataError: as :class:`FontFile`.
    """
    return FontFile(path, number, without)

"""Pictures that are no jianzi: ordinary characters, other writing, scraps, blank paper.

Ordinary characters come from the fonts found on this machine. Characters that *are* a written form of the graph (the
digits, 大, 木 …) are left out, since alone they are a jianzi.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from guqin_kg.draw.fonts import folders
from guqin_kg.errors import NotFoundError
from guqin_kg.inventory import Inventory

HELD_OUT_STYLES = ("ma-shan-zheng", "long-cang")
"""Handwriting fonts never used in training, so that they can be measured on."""


@lru_cache(maxsize=1)
def ordinary() -> tuple[str, ...]:
    """Common characters, the most common set twice: level 1 of GB 2312, level 2, and the Big5 common set."""

    def decoded(rows: range, cells: range, codec: str) -> list[str]:
        out = []
        for row in rows:
            for cell in cells:
                try:
                    out.append(bytes([row, cell]).decode(codec))
                except UnicodeDecodeError:
                    continue
        return out

    first = decoded(range(0xB0, 0xD8), range(0xA1, 0xFF), "gb2312")
    second = decoded(range(0xD8, 0xF8), range(0xA1, 0xFF), "gb2312")
    traditional = decoded(range(0xA4, 0xC7), range(0x40, 0xFF), "big5")
    return tuple(c for c in (*first, *first, *second, *traditional) if "\u4e00" <= c <= "\u9fff")


def fonts() -> list[Path]:
    """Fonts with Chinese characters found here, by file name, those kept for measuring left out."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in folder.rglob("*"):
            name = path.name.lower()
            if path.suffix.lower() not in (".ttf", ".otf", ".ttc", ".woff"):
                continue
            if not any(style.replace("-", "") in name.replace("-", "") for style in HELD_OUT_STYLES):
                found.setdefault(name, path)
    return [found[name] for name in sorted(found) if _covers(found[name])]


def _covers(path: Path) -> bool:
    try:
        font = ImageFont.truetype(str(path), 32)
    except OSError:
        return False
    masks = {bytes(font.getmask(c)) for c in "天地玄黄"}
    return len(masks) == 4


def lacks(font: ImageFont.FreeTypeFont, text: str) -> bool:
    """Whether the font shows its sign for missing characters somewhere in ``text``."""
    empty = bytes(font.getmask("\U0010fffe"))
    return any(bytes(font.getmask(char)) == empty for char in text if char != "\n")


class Others:
    """Draws pictures that are no jianzi.

    Raises:
        NotFoundError: no font with Chinese characters is installed.
    """

    def __init__(self, inventory: Inventory) -> None:
        forms = {form.character for base in inventory.bases for form in base.forms if form.character}
        names = {base.name for base in inventory.bases if base.roles & {"string", "hui", "fen"}}
        self.characters = tuple(c for c in ordinary() if c not in forms | names)
        self.fonts = fonts()
        if not self.fonts:
            raise NotFoundError(
                "no font with Chinese characters was found, so the recogniser cannot learn what is no jianzi",
                hint="apt install fonts-arphic-ukai fonts-lxgw-wenkai, or set GUQIN_FONTS to a folder of fonts",
            )
        # a family of many weights counts once
        self._families = [list(group) for _, group in groupby(sorted(self.fonts), key=lambda path: path.parent)]
        self._open: dict[tuple[Path, int], ImageFont.FreeTypeFont] = {}

    def __call__(self, rng: np.random.Generator) -> np.ndarray:
        """A grey picture, ink dark on white, about 100 pixels high."""
        kind = rng.random()
        if kind < 0.8:
            return self._text(rng, str(rng.choice(self.characters)))
        if kind < 0.86:
            count = int(rng.integers(2, 4))
            return self._text(rng, "\n".join(str(c) for c in rng.choice(self.characters, count)))
        if kind < 0.9:
            letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
            return self._text(rng, "".join(rng.choice(list(letters), int(rng.integers(1, 5)))))
        if kind < 0.95:
            return self._scrap(rng)
        return self._noise(rng)

    def _text(self, rng: np.random.Generator, text: str) -> np.ndarray:
        for _ in range(8):
            family = self._families[int(rng.integers(len(self._families)))]
            font = self._font(family[int(rng.integers(len(family)))], 88)
            if font.getbbox(text[0])[2] and not lacks(font, text):
                break
        image = Image.new("L", (420, 420), 255)
        ImageDraw.Draw(image).multiline_text((40, 30), text, font=font, fill=0, spacing=0)
        return np.asarray(image)

    def _font(self, path: Path, size: int) -> ImageFont.FreeTypeFont:
        key = (path, size)
        if key not in self._open:
            self._open[key] = ImageFont.truetype(str(path), size)
        return self._open[key]

    def _scrap(self, rng: np.random.Generator) -> np.ndarray:
        """A corner of a character: strokes without a whole."""
        whole = self._text(rng, str(rng.choice(self.characters)))
        rows, columns = np.nonzero(whole < 128)
        if not len(rows):
            return whole
        top, left = rows.min(), columns.min()
        size = int(rng.uniform(0.2, 0.35) * 88)
        dy, dx = (int(rng.choice([0, 88 - size])) for _ in range(2))
        scrap = whole[top + dy : top + dy + size, left + dx : left + dx + size]
        return np.pad(scrap, 6, constant_values=255)

    def _noise(self, rng: np.random.Generator) -> np.ndarray:
        coarse = rng.normal(0, 1, (int(rng.integers(3, 24)), int(rng.integers(3, 24)))).astype(np.float32)
        field = np.asarray(Image.fromarray(coarse).resize((80, 100), Image.Resampling.BICUBIC))
        return np.where(field > rng.uniform(0.4, 1.5), 0, 255).astype(np.uint8)

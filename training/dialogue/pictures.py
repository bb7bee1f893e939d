"""Pictures for the conversations: drawn once into a cache, or files of the user's; always square, three channels."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from guqin_kg.draw import Engine, draw_spec, sample_spec
from guqin_kg.errors import DataError, LimitError
from guqin_kg.notation.grammar import Grammar
from guqin_kg.notation.parse import parse
from guqin_kg.recognise.images import fit, load_grey

if TYPE_CHECKING:
    from training.recogniser.drawing import Painter

_IN_MEMORY = 4096
"""Notations whose pictures are kept in memory as well."""

VARIED = "varied"
"""Drawn and spoilt as the pictures that the recogniser is taught with, any preset of the engine among them."""

_LONGEST = 16
"""Words of the longest notation that looks in at the edge of another."""

_PLAINER = "print"
"""Preset for a varied picture of what only the drawing engine can draw (a word that is no base notation)."""

_SPOILT = 0.6
"""Share of spoilt pictures among those that are no jianzi, where jianzi are spoilt too."""


class Pictures:
    """Pictures by reading, drawn when first asked for and kept in ``folder``.

    Args:
        folder: cache; pictures of other settings lie beside.
        grammar: the graph's rules.
        presets: how they are drawn, in turn: those of the drawing engine, and ``varied``.
        size: width and height in pixels.
        each: how many different pictures of one notation.
        seed: decides how they differ.
    """

    def __init__(self, folder: Path, grammar: Grammar, presets: Sequence[str], size: int, each: int, seed: int) -> None:
        from training.recogniser.drawing import surroundings

        key = json.dumps([*presets, size, seed, grammar.inventory.content_hash, surroundings()])
        self.folder = folder / ("pictures-" + hashlib.blake2b(key.encode(), digest_size=8).hexdigest())
        self.grammar, self.presets, self.size, self.each, self.seed = grammar, tuple(presets), size, each, seed
        self._kept: dict[str, np.ndarray] = {}
        self._engine = Engine(grammar)

    def of(self, reading: str, number: int = 0) -> Image.Image:
        """One of the pictures of ``reading``, ``number`` counted round.

        Raises:
            ReadingError: it cannot be read.
            LimitError: no space in the cache.
        """
        if reading not in self._kept:
            if len(self._kept) >= _IN_MEMORY:
                self._kept.pop(next(iter(self._kept)))
            self._kept[reading] = self._load(reading)
        return as_picture(self._kept[reading][number % self.each])

    def drawable(self, reading: str) -> bool:
        """Whether the graph has a written form, and an outline of it, for every part of ``reading``."""
        outlines = self._engine.outlines
        try:
            layout = self._engine.layout(parse(reading, self.grammar))
        except DataError:
            return False
        left = [outlines.expand(layout.tree)]
        while left:
            node = left.pop()
            left += node.children
            if not (node.op or node.path or node.char in outlines.strokes):
                return False
        return True

    @cached_property
    def _painter(self) -> Painter:
        from guqin_kg.recognise.vocabulary import Vocabulary
        from guqin_kg.recognise.words import Words
        from training.recogniser.drawing import Painter, Recipe

        vocabulary = Vocabulary.of(Words(self.grammar).bases())
        return Painter(Recipe(vocabulary, self.size, self.size, _LONGEST, other_share=0.0), self.grammar)

    def _load(self, reading: str) -> np.ndarray:
        name = hashlib.blake2b(reading.encode(), digest_size=8).hexdigest()
        path = self.folder / name[:2] / f"{name}.npy"
        if path.is_file():
            try:
                found = np.load(path, allow_pickle=False)
                if len(found) >= self.each:
                    return np.asarray(found)
            except (OSError, ValueError, EOFError):
                pass  # a killed run left half a file, or an empty one: draw it again
        drawn = np.stack([self._draw(reading, number) for number in range(self.each)])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.tmp")
            with part.open("wb") as file:
                np.save(file, drawn, allow_pickle=False)
            part.replace(path)
        except OSError as error:
            raise LimitError(
                f"cannot write the drawn pictures: {error.strerror or error}",
                file=self.folder,
                hint="free some space; go on",
            ) from None
        return drawn

    def _draw(self, reading: str, number: int) -> np.ndarray:
        mixed = f"{self.seed}\x1f{reading}\x1f{number}".encode()
        seed = int.from_bytes(hashlib.blake2b(mixed, digest_size=7).digest(), "big")
        notation, preset = parse(reading, self.grammar), self.presets[number % len(self.presets)]
        if preset == VARIED:
            try:
                return self._painter.picture(reading, np.random.default_rng([seed]))
            except DataError:
                preset = _PLAINER

        def drawn(rarer: dict[str, int] | None) -> np.ndarray:
            spec = sample_spec(
                notation, preset, seed, size=self.size, frame="crop", engine=self._engine, form_counts=rarer
            )
            return fit(draw_spec(spec, self._engine).pixels, self.size, self.size).pixels

        try:
            return drawn(None)
        except DataError:  # a rarer form has no outline; the preferred one has, or `drawable` had said so
            return drawn({})


def as_picture(ink: np.ndarray) -> Image.Image:
    """Ink (255) on nothing (0), uint8 ``(height, width)``, as a picture with dark ink on white."""
    return Image.fromarray(255 - ink).convert("RGB")


def from_file(path: Path, size: int) -> Image.Image:
    """A picture of the user's, cut to its ink as the drawn ones are.

    Raises:
        DataError: the file is no readable image.
    """
    return as_picture(fit(load_grey(path), size, size).pixels)


def blank(size: int) -> Image.Image:
    """Paper without ink: what a model that ignores pictures answers as well."""
    return as_picture(np.zeros((size, size), np.uint8))


class NoJianzi:
    """Pictures that are no jianzi, by number.

    Args:
        grammar: the graph's rules.
        size: width and height in pixels.
        seed: decides what they show.
        presets: how the jianzi beside them are drawn; where those are ``varied``, many of these are spoilt as well.

    Raises:
        NotFoundError: no font with Chinese characters is installed.
    """

    def __init__(self, grammar: Grammar, size: int, seed: int, presets: Sequence[str] = ()) -> None:
        from training.recogniser.others import Others

        self._draw, self.size, self.seed = Others(grammar.inventory), size, seed
        self.spoilt = _SPOILT if VARIED in presets else 0.0

    def __call__(self, number: int) -> Image.Image:
        """The picture ``number``."""
        from training.recogniser.degrade import degrade

        rng = np.random.default_rng([self.seed, 77, number])
        grey = self._draw(rng)
        if rng.random() < self.spoilt:
            return as_picture(degrade(grey, np.zeros((0, 4), np.float32), rng, [], self.size, self.size)[0])
        return as_picture(fit(grey, self.size, self.size).pixels)

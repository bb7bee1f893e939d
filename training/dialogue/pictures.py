"""Pictures for the conversations: drawn once into a cache, or files of the user's; always square, three channels."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from guqin_kg.draw import Engine, draw_spec, sample_spec
from guqin_kg.errors import DataError, LimitError
from guqin_kg.notation.grammar import Grammar
from guqin_kg.notation.parse import parse
from guqin_kg.recognise.images import fit, load_grey

_IN_MEMORY = 4096
"""Notations whose pictures are kept in memory as well."""


class Pictures:
    """Pictures by reading, drawn when first asked for and kept in ``folder``.

    Args:
        folder: cache; pictures of other settings lie beside.
        grammar: the graph's rules.
        presets: how they are drawn, in turn.
        size: width and height in pixels.
        each: how many different pictures of one notation.
        seed: decides how they differ.
    """

    def __init__(self, folder: Path, grammar: Grammar, presets: Sequence[str], size: int, each: int, seed: int) -> None:
        key = json.dumps([*presets, size, seed, grammar.inventory.content_hash])
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

    def _load(self, reading: str) -> np.ndarray:
        name = hashlib.blake2b(reading.encode(), digest_size=8).hexdigest()
        path = self.folder / name[:2] / f"{name}.npy"
        if path.is_file():
            try:
                found = np.load(path, allow_pickle=False)
                if len(found) >= self.each:
                    return np.asarray(found)
            except (OSError, ValueError):
                pass  # a killed run left half a file: draw it again
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

    Raises:
        NotFoundError: no font with Chinese characters is installed.
    """

    def __init__(self, grammar: Grammar, size: int, seed: int) -> None:
        from training.recogniser.others import Others

        self._draw, self.size, self.seed = Others(grammar.inventory), size, seed

    def __call__(self, number: int) -> Image.Image:
        """The picture ``number``."""
        grey = self._draw(np.random.default_rng([self.seed, 77, number]))
        return as_picture(fit(grey, self.size, self.size).pixels)

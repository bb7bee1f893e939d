"""Items of the training data: a sampled notation drawn by the drawing engine, or something that is no jianzi.

Runs in the background processes: :class:`Painter` is built once in each and called with an item's seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg.errors import DataError
from guqin_kg.inventory import load_inventory
from guqin_kg.model import Notation
from guqin_kg.notation.grammar import grammar_of
from guqin_kg.recognise.images import fit
from guqin_kg.recognise.vocabulary import BEGIN, END, OTHER, Vocabulary
from guqin_kg.recognise.words import Words
from training.recogniser.degrade import degrade
from training.recogniser.others import Others
from training.recogniser.sample import Sampled, Sampler

PRESETS: Mapping[str, float] = {"print": 0.66, "photo": 0.06, "handwritten": 0.14, "clean": 0.14}
"""Share of each preset of the drawing engine."""

_SIZE = 72
"""Longer side of the drawn pictures: a little more than the window."""

HELD_OUT_STYLES = ("ma-shan-zheng", "long-cang")
"""Handwriting fonts never used in training, so that they can be measured on."""

_PLAIN: Mapping[str, Any] = {
    "breaks": 0.0, "resolution": 0, "blur": 0.0, "ink": 0, "paper": 255, "shade": 0.0, "grain": 0.0, "bleed": 0.0,
    "neighbours": "", "dot": False, "seal": 0.0, "rule": "", "jpeg": 0, "margins": (0.06, 0.06, 0.06, 0.06),
}  # fmt: skip
"""Leaves of a specification only the proportions and the hand: what spoils the picture then is ``degrade``."""

_DEGRADED = 0.4
"""Share of pictures spoilt by ``degrade`` instead of the engine."""

_OTHER_FORMS = 0.5
"""Share of pictures in which each component takes any of its written forms."""


@dataclass(frozen=True)
class Recipe:
    """What a background process needs to build its painter (picklable)."""

    vocabulary: Vocabulary
    height: int
    width: int
    longest: int
    other_share: float = 0.06
    fonts_share: float = 0.45
    favour: Mapping[str, float] | None = None
    extra: tuple[Path, ...] = ()
    presets: Mapping[str, float] | None = None
    styles: tuple[str, ...] = ()
    bundled: tuple[str, ...] | None = None

    def __call__(self) -> Painter:
        return Painter(self)


class Painter:
    """Draws one training item from its seed."""

    def __init__(self, recipe: Recipe) -> None:
        from guqin_kg.draw.engine import Engine
        from guqin_kg.draw.styles import STYLES, available

        self.recipe = recipe
        inventory = load_inventory(recipe.extra)
        grammar = grammar_of(inventory)
        self.words = Words(grammar)
        self.engine = Engine(grammar)
        self.vocabulary = recipe.vocabulary
        known = set(self.vocabulary.ids)
        self.sampler = Sampler(self.words, known, longest=recipe.longest - 2, favour=recipe.favour)
        self.others = Others(inventory) if recipe.other_share else None
        usable = [s.name for s in available() if s.name not in HELD_OUT_STYLES]
        self.fonts = [name for name in recipe.styles or usable if not STYLES[name].bundled]
        presets = recipe.presets or PRESETS
        self.presets = list(presets)
        self.preset_weights = np.array(list(presets.values())) / sum(presets.values())
        self._recent: list[np.ndarray] = []

    def begin(self) -> None:
        """Forget earlier pictures: called at the start of a shard, so that shards do not depend on each other."""
        self._recent = []

    def __call__(self, seed: int) -> tuple[np.ndarray, Sequence[int], np.ndarray]:
        """A window, its tokens with begin and end, a box for each (NaN for begin and end)."""
        rng = np.random.default_rng(seed)
        nothing = np.full((3, 4), np.nan, np.float32)
        if self.others is not None and rng.random() < self.recipe.other_share:
            grey = self.others(rng)
            pixels, _ = degrade(grey, nothing[:0], rng, [], self.recipe.height, self.recipe.width)
            return pixels, [BEGIN, OTHER, END], nothing
        for _ in range(20):
            sampled = self.sampler(rng)
            try:
                return self.draw(sampled, rng)
            except DataError:
                continue
        raise DataError("twenty notations in a row could not be drawn", code="cannot-draw")

    def draw(self, sampled: Sampled, rng: np.random.Generator) -> tuple[np.ndarray, Sequence[int], np.ndarray]:
        """Draw a notation in a random style.

        Raises:
            DataError: it cannot be drawn (a component without a form).
        """
        from guqin_kg.draw import draw_spec, sample_spec

        notation = sampled.notation
        preset = str(rng.choice(self.presets, p=self.preset_weights))
        styles = None
        if self.fonts and rng.random() < self.recipe.fonts_share:
            styles = [str(rng.choice(self.fonts))]
        counts = self.engine.form_counts(notation)
        spec = sample_spec(
            notation,
            preset,
            int(rng.integers(2**62)),
            size=_SIZE,
            frame="crop",
            styles=styles or self.recipe.bundled,
            form_counts=counts,
        )
        degraded = rng.random() < _DEGRADED
        changes: dict[str, Any] = dict(_PLAIN) if degraded else {}
        if preset != "clean":
            # woodcut strokes are bolder than type, small words in the margin smaller than the engine's mean
            changes["weight"] = spec.weight * float(np.exp(rng.normal(0.08, 0.16)))
            if not degraded and len(sampled.bases) <= 4 and rng.random() < 0.35:
                changes["resolution"] = int(rng.integers(18, 40))
        if rng.random() < _OTHER_FORMS:
            changes["forms"] = tuple((base, int(rng.integers(n))) for base, n in counts.items() if n > 1)
        drawing = draw_spec(replace(spec, **changes), self.engine)
        boxes = self._token_boxes(notation, drawing.boxes)
        height, width = self.recipe.height, self.recipe.width
        grey = drawing.pixels
        # what is no jianzi is spoilt by `degrade` alone: many of the jianzi must be too, or it would give them away
        if degraded:
            pixels, inner = degrade(grey, boxes, rng, self._recent, height, width)
        else:
            fitted = fit(grey, height, width)
            scaled = boxes * fitted.scale + np.array([*fitted.offset, *fitted.offset], np.float32)
            pixels = fitted.pixels
            inner = np.clip(scaled / np.array([width, height, width, height], np.float32), 0, 1)
        if len(self._recent) < 32:
            self._recent.append(grey)
        else:
            self._recent[int(rng.integers(32))] = grey
        edge = np.full((1, 4), np.nan, np.float32)
        return pixels, self.vocabulary.encode(sampled.bases), np.concatenate([edge, inner, edge])

    def _token_boxes(self, notation: Notation, boxes: np.ndarray) -> np.ndarray:
        """Boxes of the parts (x, y, width, height) as one x0, y0, x1, y1 for each base notation."""
        rows = [
            (x, y, x + w, y + h)
            for part, (x, y, w, h) in zip(self.words.parts(notation), np.asarray(boxes), strict=True)
            for _ in part.bases
        ]
        return np.array(rows, np.float32).reshape(-1, 4)

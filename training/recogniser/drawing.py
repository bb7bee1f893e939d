"""Items of the training data: a sampled notation drawn by the drawing engine, or something that is no jianzi.

Runs in the background processes: :class:`Painter` is built once in each and called with the seeds of a shard.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from guqin_kg.errors import DataError
from guqin_kg.inventory import load_inventory
from guqin_kg.model import Notation
from guqin_kg.notation.grammar import Grammar, grammar_of
from guqin_kg.notation.parse import parse
from guqin_kg.recognise.images import fit
from guqin_kg.recognise.vocabulary import BEGIN, END, OTHER, Vocabulary
from guqin_kg.recognise.words import Words
from training.recogniser.degrade import boxes_in, degrade
from training.recogniser.others import HELD_OUT_STYLES, Others
from training.recogniser.sample import Sampled, Sampler

if TYPE_CHECKING:
    from guqin_kg.draw import Drawing, Spec
    from training.config import RecogniserTraining

SHARES: Mapping[str, float] = {"print": 0.64, "photo": 0.06, "handwritten": 0.17, "clean": 0.13}
"""Share of each preset of the drawing engine."""

_SIZE = 72
"""Longer side of the drawn pictures: a little more than the window."""

_PLAIN: Mapping[str, Any] = {
    "breaks": 0.0, "resolution": 0, "blur": 0.0, "ink": 0, "paper": 255, "shade": 0.0, "grain": 0.0, "bleed": 0.0,
    "neighbours": "", "dot": False, "seal": 0.0, "rule": "", "jpeg": 0, "margins": (0.06, 0.06, 0.06, 0.06),
}  # fmt: skip
"""Leaves of a specification only the proportions and the hand: what spoils the picture then is ``degrade``."""

_OTHER_FORMS = 0.6
"""Share of pictures in which each component takes any of its written forms."""


_TOGETHER = 256
"""Pictures drawn at once: a third of the cost of one by one, and little memory."""

Item = tuple[np.ndarray, Sequence[int], np.ndarray]


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
    spoilt: float = 0.4
    """Share of pictures spoilt by ``degrade`` instead of the engine."""
    worse: float = 0.0
    """Share of these that are spoilt worse."""

    def __call__(self) -> Painter:
        return Painter(self)

    def key(self, graph: str, *more: object) -> str:
        """A short hash over all that decides what is drawn: this recipe, the graph, and ``more`` (a JSON of it).

        Args:
            graph: content hash of the graph, the files that the recipe names included.
            more: seed and size of the shards, and whatever else decides.
        """
        own = asdict(self) | {"vocabulary": self.vocabulary.hash, "extra": len(self.extra)}
        text = json.dumps([own, graph, *more], sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def recipe_of(config: RecogniserTraining, vocabulary: Vocabulary, shape: Any, extra: tuple[Path, ...] = ()) -> Recipe:
    """What a configuration draws, for a network of this shape (with ``height``, ``width``, ``max_tokens``).

    Args:
        config: of a run.
        vocabulary: what the network reads.
        shape: configuration of the network.
        extra: Turtle files of a workspace, beside the released graph.
    """
    return Recipe(
        vocabulary, shape.height, shape.width, shape.max_tokens, config.other_characters, extra=extra,
        presets=config.presets, spoilt=config.spoilt, worse=config.worse,
    )  # fmt: skip


def surroundings() -> list[object]:
    """What decides on this machine how a recipe is drawn: the code that draws, spoils and cuts out, the fonts found.

    Returns:
        JSON-able: a hash of the modules, the styles that can be used, and name and size of the fonts of ordinary
        characters.
    """
    from guqin_kg import draw, resources
    from guqin_kg.draw.styles import available
    from guqin_kg.recognise import images
    from guqin_kg.recognise import surroundings as beside
    from training.recogniser.others import fonts

    here = Path(__file__).parent
    code = sorted(Path(draw.__file__).parent.glob("*.py"))
    code += [Path(str(module.__file__)) for module in (images, beside)]
    code += [here / name for name in ("drawing.py", "degrade.py", "others.py", "sample.py", "shapes.yaml")]
    styles = [(style.name, path.name if (path := style.path()) else None) for style in available()]
    return [resources.digest(code), styles, [(path.name, path.stat().st_size) for path in fonts()]]


@dataclass(frozen=True, eq=False)
class _Plan:
    """An item before it is drawn; without a specification it is no jianzi."""

    rng: np.random.Generator
    sampled: Sampled | None = None
    spec: Spec | None = None
    degraded: bool = False
    worse: bool = False


def _happens(rng: np.random.Generator, share: float) -> bool:
    """By chance; nothing is drawn from the generator for what never happens, so that all else stays as it was."""
    return share > 0 and bool(rng.random() < share)


class Painter:
    """Draws training items from their seeds.

    Args:
        recipe: what is drawn, and how large.
        grammar: of an opened graph (default: the released graph with the files that the recipe names).
    """

    def __init__(self, recipe: Recipe, grammar: Grammar | None = None) -> None:
        from guqin_kg.draw.engine import Engine
        from guqin_kg.draw.styles import STYLES, available

        self.recipe = recipe
        grammar = grammar or grammar_of(load_inventory(recipe.extra))
        inventory = grammar.inventory
        self.words = Words(grammar)
        self.engine = Engine(grammar)
        self.vocabulary = recipe.vocabulary
        known = set(self.vocabulary.ids)
        self.sampler = Sampler(self.words, known, longest=recipe.longest - 2, favour=recipe.favour)
        self.others = Others(inventory) if recipe.other_share else None
        usable = [s.name for s in available() if s.name not in HELD_OUT_STYLES]
        self.fonts = [name for name in recipe.styles or usable if not STYLES[name].bundled]
        presets = recipe.presets or SHARES
        self.presets = list(presets)
        self.preset_weights = np.array(list(presets.values())) / sum(presets.values())

    def __call__(self, seeds: Sequence[int]) -> list[Item]:
        """A window, its tokens with begin and end, a box for each (NaN for begin and end), for each seed.

        What an item gets depends on its seed and on the pictures before it in the same call, whose ink looks in.

        Raises:
            DataError: the graph has next to nothing that can be drawn.
        """
        out: list[Item] = []
        recent: list[np.ndarray] = []
        for at in range(0, len(seeds), _TOGETHER):
            out += self._portion(seeds[at : at + _TOGETHER], recent)
        return out

    def picture(self, reading: str, rng: np.random.Generator) -> np.ndarray:
        """One notation in a random style, drawn and spoilt as a training item is.

        Returns:
            uint8 ``(height, width)``, ink 255.

        Raises:
            DataError: it cannot be drawn, or holds a word that is no base notation.
        """
        from guqin_kg.draw import draw_specs

        sampled = Sampled(reading, parse(reading, self.words.grammar), self.words.encode(reading))
        plan = self.plan(sampled, rng)
        assert plan.spec is not None
        (drawing,) = draw_specs([plan.spec], self.engine)
        return self._window(plan, drawing.pixels, np.zeros((0, 4), np.float32), self._beside)[0]

    @cached_property
    def _beside(self) -> list[np.ndarray]:
        """What looks in at the edges of single pictures: always the same few, so that each depends on its seed only."""
        from guqin_kg.draw import draw_specs

        rng = np.random.default_rng(0)
        plans = [self._plan(rng) for _ in range(32)]
        return [drawing.pixels for drawing in draw_specs([plan.spec for plan in plans if plan.spec], self.engine)]

    def _portion(self, seeds: Sequence[int], recent: list[np.ndarray]) -> list[Item]:
        from guqin_kg.draw import draw_specs

        plans = [self._plan(np.random.default_rng(seed)) for seed in seeds]
        drawings = iter(draw_specs([plan.spec for plan in plans if plan.spec], self.engine))
        height, width = self.recipe.height, self.recipe.width
        nothing = np.full((3, 4), np.nan, np.float32)
        out: list[Item] = []
        for plan in plans:
            if plan.spec is None or plan.sampled is None:
                assert self.others is not None
                grey = self.others(plan.rng)
                beside = recent if plan.worse else []
                pixels, _ = degrade(grey, nothing[:0], plan.rng, beside, height, width, plan.worse)
                out.append((pixels, [BEGIN, OTHER, END], nothing))
            else:
                out.append(self._finished(plan, plan.sampled, next(drawings), recent))
        return out

    def _plan(self, rng: np.random.Generator) -> _Plan:
        """What to draw: a notation with its specification, or (no specification) something that is none."""
        if self.others is not None and rng.random() < self.recipe.other_share:
            # as often as a jianzi: what is spoilt worse must not tell what it is
            return _Plan(rng, worse=_happens(rng, self.recipe.spoilt * self.recipe.worse))
        for _ in range(20):
            sampled = self.sampler(rng)
            try:
                return self.plan(sampled, rng)
            except DataError:
                continue
        raise DataError("twenty notations in a row could not be drawn", code="cannot-draw")

    def plan(self, sampled: Sampled, rng: np.random.Generator) -> _Plan:
        """The specification of a notation in a random style.

        Raises:
            DataError: it cannot be drawn (a component without a form).
        """
        from guqin_kg.draw import sample_spec

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
        degraded = rng.random() < self.recipe.spoilt
        changes: dict[str, Any] = dict(_PLAIN) if degraded else {}
        if preset != "clean":
            # woodcut strokes are bolder than type, small words in the margin smaller than the engine's mean
            changes["weight"] = spec.weight * float(np.exp(rng.normal(0.1, 0.18)))
            if not degraded and len(sampled.bases) <= 4 and rng.random() < 0.35:
                changes["resolution"] = int(rng.integers(18, 40))
        if len(sampled.bases) <= 2 and preset != "clean" and rng.random() < 0.5:
            # a word or two alone are squeezed into the narrow column of an aside, or fill a square of their own
            changes["aspect"] = spec.aspect * float(np.exp(rng.uniform(-0.8, 0.5)))
        if rng.random() < _OTHER_FORMS:
            changes["forms"] = tuple((base, int(rng.integers(n))) for base, n in counts.items() if n > 1)
        spec = replace(spec, **changes)
        self.engine.prepare(notation, spec.style, spec.forms, spec.columns)
        return _Plan(rng, sampled, spec, degraded, degraded and _happens(rng, self.recipe.worse))

    def _finished(self, plan: _Plan, sampled: Sampled, drawing: Drawing, recent: list[np.ndarray]) -> Item:
        grey = drawing.pixels
        pixels, inner = self._window(plan, grey, self._token_boxes(sampled.notation, drawing.boxes), recent)
        if len(recent) < 32:
            recent.append(grey)
        else:
            recent[int(plan.rng.integers(32))] = grey
        edge = np.full((1, 4), np.nan, np.float32)
        return pixels, self.vocabulary.encode(sampled.bases), np.concatenate([edge, inner, edge])

    def _window(
        self, plan: _Plan, grey: np.ndarray, boxes: np.ndarray, beside: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the network sees of a drawing, and its boxes there."""
        height, width = self.recipe.height, self.recipe.width
        # what is no jianzi is spoilt by `degrade` alone: many of the jianzi must be too, or it would give them away
        if plan.degraded:
            return degrade(grey, boxes, plan.rng, beside, height, width, plan.worse)
        fitted = fit(grey, height, width)
        return fitted.pixels, boxes_in(fitted, boxes, height, width)

    def _token_boxes(self, notation: Notation, boxes: np.ndarray) -> np.ndarray:
        """Boxes of the parts (x, y, width, height) as one x0, y0, x1, y1 for each base notation."""
        rows = [
            (x, y, x + w, y + h)
            for part, (x, y, w, h) in zip(self.words.parts(notation), np.asarray(boxes), strict=True)
            for _ in part.bases
        ]
        return np.array(rows, np.float32).reshape(-1, 4)

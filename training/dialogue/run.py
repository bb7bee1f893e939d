"""A run: samples chosen by step and seed, the loss, and what is trained."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor, nn

from guqin_kg.errors import DataError, UsageError
from training import processes
from training.dialogue import sharded, vlm
from training.dialogue.config import DialogueTraining
from training.dialogue.encode import IGNORED, Encoder
from training.dialogue.evaluate import picture_of
from training.dialogue.grade import other_words
from training.dialogue.loop import Plan, fit
from training.dialogue.pictures import NoJianzi, Pictures
from training.dialogue.records import Conversation, Turn
from training.dialogue.sight import Sight, sight_of

_OTHERS = 16384
"""Different pictures that are no jianzi."""


@dataclass(frozen=True)
class Sample:
    """One conversation of a batch: the picture ``number`` of a notation (None: one that is no jianzi), and turns."""

    conversation: Conversation | None
    number: int
    turns: tuple[Turn, ...]

    @property
    def length(self) -> int:
        """About how many tokens of text."""
        return sum(len(turn.question) + len(turn.answer) + 4 for turn in self.turns)

    @property
    def key(self) -> tuple[str, int]:
        """Names the picture."""
        return (self.conversation.iri if self.conversation else "", self.number)


@dataclass
class Sampler:
    """Chooses what a step sees: a function of the seed and the step alone."""

    config: DialogueTraining
    conversations: Sequence[Conversation]
    pictures: Pictures

    def __post_init__(self) -> None:
        wanted = set(self.config.reading_templates)
        self._with_reading = [c for c in self.conversations if any(t.template in wanted for t in c.turns)]
        if self.config.readings_share and not self._with_reading:
            raise DataError(
                "no conversation has a turn of reading_templates",
                hint="set readings_share: 0, or name templates that occur: "
                + ", ".join(sorted({t.template for c in self.conversations[:20] for t in c.turns})[:8]),
            )
        self._words = other_words(self.config.lang)
        if self.config.other_share:
            pictures = self.pictures
            self._other = NoJianzi(pictures.grammar, pictures.size, self.config.seed, pictures.presets)

    def sample(self, step: int) -> list[Sample]:
        """The batch of a step."""
        config = self.config
        pool, slot = divmod(step, config.bucket)
        rng = np.random.default_rng([config.seed, pool])
        samples = [self._one(rng, pool * config.bucket) for _ in range(config.batch * config.bucket)]
        if config.bucket == 1:
            return samples
        samples.sort(key=lambda sample: sample.length)
        start = int(rng.permutation(config.bucket)[slot]) * config.batch
        return samples[start : start + config.batch]

    def picture(self, sample: Sample) -> Image.Image:
        """What the sample is about."""
        if sample.conversation is None:
            return self._other(sample.number)
        return picture_of(sample.conversation, self.pictures, sample.number)

    def _one(self, rng: np.random.Generator, step: int) -> Sample:
        config = self.config
        if config.other_share and rng.random() < config.other_share:
            question, answer = (str(rng.choice(self._words[key])) for key in ("questions", "answers"))
            return Sample(None, int(rng.integers(_OTHERS)), (Turn(question, answer, ""),))
        single = step < config.readings_first or rng.random() < config.readings_share
        source = self._with_reading if single and self._with_reading else self.conversations
        chosen = source[int(rng.integers(len(source)))]
        turns = list(chosen.turns)
        if single:
            readings = [t for t in turns if t.template in config.reading_templates] or turns
            turns = [readings[int(rng.integers(len(readings)))]]
        elif config.shuffle:
            turns = [turns[int(at)] for at in rng.permutation(len(turns))]
        if config.turns_each:
            turns = turns[: config.turns_each]
        return Sample(chosen, int(rng.integers(config.images_each)), tuple(turns))


def train_dialogue(
    model: Any, encoder: Encoder, config: DialogueTraining, sampler: Sampler, out: Path, quiet: bool
) -> list[dict[str, Any]]:
    """Train in place; returns the rows of the log."""
    trained = _prepared(model, config)
    sight = sight_of(model, encoder.processor, config.freeze_vision)
    loss = _loss(model, encoder, sampler, sight)
    return fit("dialogue", trained, loss, _plan(config), out, settings=_settings(config, sampler), quiet=quiet)


def train_sharded(
    model: Any, encoder: Encoder, config: DialogueTraining, sampler: Sampler, out: Path, quiet: bool
) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """The same with weights divided among processes; returns the rows and, in the first process, all weights.

    Raises:
        UsageError: Muon is wanted, which needs whole matrices.
    """
    if config.matrix_rate is not None:
        raise UsageError("Muon needs whole matrices, and these are divided", hint="set matrix_rate: null")
    _prepared(model, config)

    def loss_with(divided: nn.Module) -> Callable[[int], Tensor]:
        return _loss(divided, encoder, sampler, None)

    return sharded.fit(model, loss_with, _plan(config), out, settings=_settings(config, sampler), quiet=quiet)


def _settings(config: DialogueTraining, sampler: Sampler) -> dict[str, Any]:
    """What a checkpoint must have been made with: configuration, graph, and what was learnt from (a hash of it).

    The turns tell of whatever else they were made with: the templates, or the files of the user.
    """
    turns = hashlib.blake2b(digest_size=8)
    for known in sampler.conversations:
        for turn in known.turns:
            turns.update("\0".join((known.iri, turn.question, turn.answer, turn.template, "")).encode())
    graph = sampler.pictures.grammar.inventory.content_hash
    return {**config.model_dump(mode="json"), "graph": graph, "turns": turns.hexdigest()}


def _prepared(model: Any, config: DialogueTraining) -> dict[str, nn.Parameter]:
    """Set what is trained; returns it by name."""
    if config.lora is None:
        model.requires_grad_(True)
    if config.freeze_vision:
        vlm.vision_tower(model).requires_grad_(False)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not trained:
        raise DataError("nothing is left to train", hint="set lora, or freeze_vision: false")
    model.train()
    if config.freeze_vision:
        vlm.vision_tower(model).eval()
    return trained


def _plan(config: DialogueTraining) -> Plan:
    return Plan(
        config.steps, config.learning_rate, config.seed, matrix_rate=config.matrix_rate, warmup=config.warmup,
        weight_decay=config.weight_decay, clip=config.clip, log_every=config.log_every,
        checkpoint_every=config.checkpoint_every, max_minutes=config.max_minutes, clock=config.clock, bf16=config.bf16,
    )  # fmt: skip


def _loss(model: nn.Module, encoder: Encoder, sampler: Sampler, sight: Sight | None) -> Callable[[int], Tensor]:

    rank, count = processes.world()
    where = next(model.parameters()).device

    def loss_of(step: int) -> Tensor:
        samples = sampler.sample(step)[rank::count]
        seen: Sequence[Image.Image | Tensor]
        if sight is None:
            seen = [sampler.picture(sample) for sample in samples]
        else:
            seen = sight.of([sample.key for sample in samples], lambda at: sampler.picture(samples[at]))
        rows = [encoder.sample(image, sample.turns) for image, sample in zip(seen, samples, strict=True)]
        batch = {name: value.to(where) for name, value in encoder.collate(rows).items()}
        loss: Tensor = model(**batch).loss
        if count > 1:  # the model gives the mean over its own tokens; the step's is over those of all processes
            own = float((batch["labels"] != IGNORED).sum())
            loss = loss * (own / processes.total(own))
        return loss

    return loss_of

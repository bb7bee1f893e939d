"""The two stages of a run: samples chosen by step and seed, losses, and what is trained in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor, nn

from guqin_kg.errors import DataError
from training.dialogue import vlm
from training.dialogue.config import DialogueTraining, VisionStage
from training.dialogue.encode import Encoder
from training.dialogue.evaluate import picture_of
from training.dialogue.grade import other_words
from training.dialogue.loop import Plan, fit
from training.dialogue.pictures import Pictures, others
from training.dialogue.records import Conversation, Turn
from training.dialogue.vision import Slots, VisionTask

_OTHERS = 512


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
        self._others: Sequence[Image.Image] = ()
        if self.config.other_share:
            self._others = others(self.pictures.grammar, self.pictures.size, _OTHERS, self.config.seed)

    def sample(self, step: int) -> list[tuple[Image.Image, list[Turn]]]:
        """Pictures and turns of one batch."""
        rng = np.random.default_rng([self.config.seed, step])
        return [self._one(rng, step) for _ in range(self.config.batch)]

    def _one(self, rng: np.random.Generator, step: int) -> tuple[Image.Image, list[Turn]]:
        config = self.config
        if config.other_share and rng.random() < config.other_share:
            image = self._others[int(rng.integers(len(self._others)))]
            question, answer = (str(rng.choice(self._words[key])) for key in ("questions", "answers"))
            return image, [Turn(question, answer, "")]
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
        return picture_of(chosen, self.pictures, int(rng.integers(config.images_each))), turns


def train_vision(
    model: Any,
    encoder: Encoder,
    config: DialogueTraining,
    stage: VisionStage,
    conversations: Sequence[Conversation],
    held: Sequence[Conversation],
    pictures: Pictures,
    out: Path,
    quiet: bool,
) -> dict[str, Any]:
    """The first stage; returns its figures."""
    slots = Slots([c.reading for c in (*conversations, *held)], pictures.grammar)
    task = VisionTask(vlm.vision_tower(model), slots, model.config.vision_config.hidden_size)
    task.train()
    prepare = encoder.processor.image_processor

    def pixels(images: Sequence[Image.Image]) -> Tensor:
        made: Tensor = prepare(images=list(images), return_tensors="pt")["pixel_values"]
        return made

    def loss_of(step: int) -> Tensor:
        rng = np.random.default_rng([config.seed, 9, step])
        some = [conversations[int(at)] for at in rng.integers(len(conversations), size=stage.batch)]
        images = [picture_of(c, pictures, int(rng.integers(config.images_each))) for c in some]
        return task.loss(pixels(images), [c.reading for c in some])

    plan = Plan(
        stage.steps, stage.learning_rate, config.seed, warmup=max(1, stage.steps // 40), weight_decay=0.02,
        clip=config.clip, log_every=config.log_every, checkpoint_every=config.checkpoint_every,
        max_minutes=stage.max_minutes, bf16=config.bf16,
    )  # fmt: skip
    # the last layer norm of the tower is not on the way of the patches
    named = {n: p for n, p in task.named_parameters() if "post_layernorm" not in n}
    rows = fit("vision", named, loss_of, plan, out, quiet=quiet)

    def drawn(readings: Sequence[str]) -> Tensor:
        return pixels([pictures.of(reading) for reading in readings])

    figures: dict[str, Any] = {"steps": rows[-1]["step"] if rows else None, "loss": rows[-1]["loss"] if rows else None}
    if held:
        figures["held_out_glyphs_all_parts_right"] = round(task.right(drawn, [c.reading for c in held][:500]), 4)
    return figures


def train_dialogue(
    model: Any, encoder: Encoder, config: DialogueTraining, sampler: Sampler, out: Path, quiet: bool
) -> list[dict[str, Any]]:
    """The second stage; returns the rows of its log."""
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
    plan = Plan(
        config.steps, config.learning_rate, config.seed, warmup=config.warmup, weight_decay=config.weight_decay,
        clip=config.clip, log_every=config.log_every, checkpoint_every=config.checkpoint_every,
        max_minutes=config.max_minutes, bf16=config.bf16,
    )  # fmt: skip
    return fit("dialogue", trained, _loss(model, encoder, sampler), plan, out, quiet=quiet)


def _loss(model: nn.Module, encoder: Encoder, sampler: Sampler) -> Callable[[int], Tensor]:
    def loss_of(step: int) -> Tensor:
        batch = encoder.collate([encoder.sample(image, turns) for image, turns in sampler.sample(step)])
        loss: Tensor = model(**batch).loss
        return loss

    return loss_of

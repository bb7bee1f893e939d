"""Configurations of the dialogue recipe (``training/configs/dialogue/*.yaml``), checked as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from training.config import Lora, Strict, read_config

CONFIGS = Path(__file__).resolve().parent.parent / "configs" / "dialogue"

BUNDLED = "bundled"


class Shape(Strict):
    """The bundled model (used when there is no ``base``): the recogniser's encoder looks, a small decoder speaks."""

    recogniser: str = BUNDLED
    """Folder of the recogniser whose encoder becomes the vision tower."""
    merge: int = Field(2, ge=1, le=2)
    """A square of this many cells of the recogniser's grid each way is one token."""
    text_hidden: int = Field(192, ge=8)
    text_layers: int = Field(3, ge=1)
    text_heads: int = Field(6, ge=1)
    text_feed_forward: int = Field(512, ge=8)
    initializer_range: float = Field(0.08, gt=0)
    """Spread of the decoder's first weights: at the usual 0.02 a small decoder is slow to look at the picture."""


class DialogueLora(Lora):
    """Low-rank adaptation of the language part through peft."""

    target_modules: str = r".*language_model.*(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


class Published(Strict):
    """What the published run reports, for the table beside ours."""

    train_loss: float | None = None
    hours: float | None = None
    base: str | None = None
    finding: str
    source: str


class DialogueTraining(Strict):
    """One run of the dialogue recipe."""

    recipe: Literal["dialogue"] = "dialogue"
    base: str | None = None
    """Folder or hub id of a vision-language model, ``bundled``, or None: a new model of ``shape``."""
    seed: int = 1
    shape: Shape = Shape()
    tower: str | None = None
    """Folder of a recogniser (or ``bundled``) whose encoder replaces the base's tower; None: it keeps its own."""
    freeze_vision: bool = True
    lora: DialogueLora | None = None
    dialogues: Literal["six", "twenty-two"] = "twenty-two"
    scope: Literal["curated", "lexicon", "rules"] = "curated"
    """Which notations: the curated set, the published lexicon, or any that the reading rules allow, by chance."""
    notations: int | None = Field(None, ge=2)
    """How many notations of the scope (None: all); each falls into train or val by its IRI, 8:2."""
    rules_notations: int = Field(0, ge=0)
    """How many notations by the reading rules are trained on beside those of the scope, less the held-out ones."""
    curated_copies: int = Field(0, ge=0)
    """How often each notation of the curated set stands beside those of the lexicon (rare words and forms)."""
    lang: Literal["zh", "en"] = "zh"
    images_each: int = Field(1, ge=1)
    presets: tuple[Literal["clean", "print", "handwritten", "photo", "varied"], ...] = Field(("clean",), min_length=1)
    """How the pictures of a notation are drawn, in turn: presets of the drawing engine, or ``varied``: drawn and spoilt
    as those that the recogniser is taught with."""
    picture_size: int = Field(96, ge=16, le=1024)
    shuffle: bool = True
    """Whether the turns after the first change places from sample to sample."""
    turns_each: int | None = Field(None, ge=1)
    """At most this many turns in a sample (None: all of the conversation)."""
    readings_share: float = Field(0.3, ge=0, le=1)
    """Share of samples that are a single turn of ``reading_templates``."""
    readings_first: int = Field(0, ge=0)
    """Steps at the beginning with single readings only."""
    reading_templates: tuple[str, ...] = ("dialogue/reading", "dialogue/identity")
    other_share: float = Field(0.0, ge=0, lt=1)
    """Share of samples whose picture is no jianzi, with the answer that says so."""
    batch: int = Field(8, ge=1)
    bucket: int = Field(1, ge=1)
    """Samples of this many steps are drawn together and dealt out by length, so that batches have little padding."""
    steps: int = Field(1000, ge=1)
    learning_rate: float = Field(1e-5, gt=0)
    matrix_rate: float | None = Field(None, gt=0)
    """Rate of the matrices inside the network, which Muon steps then; None: AdamW steps everything."""
    weight_decay: float = Field(0.0, ge=0)
    warmup: int = Field(0, ge=0)
    clip: float = Field(1.0, gt=0)
    bf16: bool | None = None
    """Half precision in training; None: where the processor has it (emulated, it is ten times slower)."""
    threads: int = Field(1, ge=1)
    max_tokens: int = Field(2048, ge=64)
    log_every: int = Field(20, ge=1)
    checkpoint_every: int = Field(200, ge=1)
    max_minutes: float | None = Field(None, gt=0)
    clock: Literal["wall", "processor"] = "wall"
    """What ``max_minutes`` counts; runs that are to be compared on a busy machine count processor time."""
    evaluate_notations: int = Field(50, ge=0)
    """Held-out notations that are asked after training (0: none)."""
    answer_tokens: int = Field(128, ge=8)
    published: Published | None = None

    @model_validator(mode="after")
    def _tower_of_a_whole_model(self) -> DialogueTraining:
        """An adapter is loaded over its base as that is: with another tower in training it would not fit it."""
        if self.tower is not None and (self.base is None or self.lora is not None):
            raise ValueError("tower renews the tower of a base that is trained as a whole: it needs base and no lora")
        return self

    @model_validator(mode="after")
    def _matrices_of_a_whole_model(self) -> DialogueTraining:
        if self.matrix_rate is not None and self.lora is not None:
            raise ValueError("matrix_rate is for weights that are trained as a whole: it needs no lora")
        return self

    @model_validator(mode="after")
    def _so_many(self) -> DialogueTraining:
        """The rules allow notations without end."""
        if self.scope == "rules" and self.notations is None:
            raise ValueError("scope: rules needs notations, the number of them")
        return self


def names() -> list[str]:
    """The bundled configurations."""
    return sorted(p.stem for p in CONFIGS.glob("*.yaml"))


def load(name: str | Path, **overrides: Any) -> DialogueTraining:
    """Read and check a configuration (see :func:`training.config.read_config`)."""
    return read_config(name, DialogueTraining, CONFIGS, overrides)

"""Configurations of the contrastive recipe (``training/configs/contrastive/*.yaml``), checked as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from guqin_kg.notation.lexicon import PUBLISHED_SIZE
from training.config import Encoder, Lora, Strict, read_config

CONFIGS = Path(__file__).resolve().parent.parent / "configs" / "contrastive"

Modality = Literal["image", "text", "audio"]


class Towers(Encoder):
    """Shape of the bundled towers (used when no ``base`` is given)."""

    image_layers: int = Field(3, ge=1)
    text_layers: int = Field(2, ge=1)
    audio_layers: int = Field(2, ge=1)
    bands: int = Field(128, ge=8)
    frames: int = Field(48, ge=8)
    max_characters: int = Field(24, ge=4)
    queries: int = Field(8, ge=1)
    space: int = Field(256, ge=8)


class ContrastiveLora(Lora):
    """Low-rank adaptation of the towers through peft."""

    rank: int = Field(4, ge=1, le=1024)
    alpha: int = Field(8, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: str = r".*\.(query|key|value|output|up|down|dense|q_proj|k_proj|v_proj|out_proj|fc1|fc2)"


class Published(Strict):
    """What the published run reports, for the table beside ours."""

    top1: float
    top5: float
    train_loss: float | None = None
    hours: float | None = None
    machine: str | None = None
    source: str


class ContrastiveTraining(Strict):
    """One run of the contrastive recipe.

    ``notations`` × ``images_each`` drawn images are split ``train_share`` : rest by image, as in the published
    experiments; ``split: notation`` holds whole notations out instead. ``source: sampled`` takes notations as the
    recogniser's base meets them, each drawn once, ``drawn_images`` of them.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    recipe: Literal["contrastive", "adapt"] = "contrastive"
    base: str | None = None
    """``bundled``, the folder of a model trained here, or folder or hub id of a CLIP-like model; None starts anew."""
    start: str | None = None
    """Where towers start anew: recogniser folder (or ``bundled``) whose encoder the image tower takes over."""
    modalities: tuple[Modality, ...] = ("image", "text")
    seed: int = Field(1, ge=0, lt=2**31)
    towers: Towers = Towers()
    lora: ContrastiveLora | None = None
    source: Literal["lexicon", "sampled"] = "lexicon"
    drawn_images: int = Field(24_576, ge=8, le=10_000_000)
    shard: int = Field(1024, ge=8, le=65_536)
    notations: int | Literal["names"] = 96
    """How many notations of the lexicon, or ``names``: those of ``--names FILE``."""
    images_each: int = Field(5, ge=1, le=10_000)
    preset: Literal["clean", "print", "handwritten", "photo", "mixed"] = "mixed"
    split: Literal["image", "notation"] = "image"
    train_share: float = Field(0.8, gt=0, lt=1)
    batch: int = Field(12, ge=2, le=65_536)
    epochs: int = Field(200, ge=1)
    max_steps: int | None = Field(None, ge=1)
    learning_rate: float = Field(5e-6, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    warmup: int = Field(0, ge=0)
    temperature: float = Field(0.07, gt=0)
    learn_temperature: bool = True
    class_aware: bool = True
    """Equal texts in a batch are positives of each other (False: the published loss, where they are negatives)."""
    hard_negatives: int = Field(0, ge=0, le=16)
    """Texts beside those of the batch, for each image: readings that differ from its own in one word."""
    frozen: tuple[Literal["stem", "image", "text", "audio"], ...] = ()
    """Parts that stay as they are: the image tower's convolutions, or whole towers."""
    encoder_rate: float = Field(1.0, ge=0, le=1)
    """Learning rate of what was taken over from ``start``, as a share of ``learning_rate``."""
    head_steps: int = Field(0, ge=0)
    """First steps in which the image encoder rests and its features are read from a cache: five times as quick."""
    augment: bool = False
    """Move, slant and distort each picture anew (not in the first ``head_steps``)."""
    average: float = Field(0.0, ge=0, lt=1)
    """Decay of a running average of the weights, which is then what is saved; 0 = none."""
    drawn_share: float = Field(0.33, ge=0, le=1)
    """Adaptation: share of drawn images in a batch."""
    bank: int = Field(4096, ge=0, le=1_000_000)
    """Adaptation: how many texts, besides those of the crops, each image is told apart from."""
    bf16: bool = False
    threads: int = Field(1, ge=1, le=1024)
    log_every: int = Field(50, ge=1)
    checkpoint_every: int = Field(500, ge=1)
    max_minutes: float | None = Field(None, gt=0)
    published: Published | None = None

    @field_validator("notations")
    @classmethod
    def _enough(cls, value: int | str) -> int | str:
        # by hand: a bound within the union would be told of twice, once for each of its kinds
        if isinstance(value, int) and not 2 <= value <= PUBLISHED_SIZE:
            raise ValueError(f"input should be from 2 to {PUBLISHED_SIZE}, or 'names'")
        return value

    @field_validator("modalities")
    @classmethod
    def _pairs(cls, value: tuple[Modality, ...]) -> tuple[Modality, ...]:
        if len(set(value)) < len(value) or not {"image", "text"} <= set(value):
            raise ValueError("input should name image and text, and may name audio, each once")
        return value


def names() -> list[str]:
    """The bundled configurations."""
    return sorted(p.stem for p in CONFIGS.glob("*.yaml"))


def load(name: str | Path, **overrides: Any) -> ContrastiveTraining:
    """Read and check a configuration (see :func:`training.config.read_config`)."""
    return read_config(name, ContrastiveTraining, CONFIGS, overrides)

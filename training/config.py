"""Configurations of the training recipes: flat YAML files, checked as a whole before anything runs.

``load("base")`` reads ``training/configs/base.yaml``, ``load("my.yaml")`` a file of one's own. Every problem (a
misspelt key, a value of the wrong kind) is reported at once, with the nearest known key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from guqin_kg.draw.sampling import PRESETS
from guqin_kg.errors import NotFoundError, UsageError, decoded

CONFIGS = Path(__file__).parent / "configs"


class Strict(BaseModel):
    """A part of a configuration: unknown keys are refused, values do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Encoder(Strict):
    """Shape of what looks at a picture, which the recogniser and the towers of the contrastive model share."""

    height: int = Field(64, ge=16, le=256)
    width: int = Field(48, ge=16, le=256)
    channels: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = (32, 64, 128)
    blocks: tuple[Annotated[int, Field(ge=0, le=64)], ...] = (1, 1, 1)
    hidden: int = Field(192, ge=8)
    heads: int = Field(6, ge=1)
    feed_forward: int = Field(384, ge=8)
    dropout: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        wrong = [] if self.channels else ["channels names no stage"]
        if len(self.channels) != len(self.blocks):
            wrong.append(f"{len(self.channels)} channels need as many blocks, not {len(self.blocks)}")
        if self.hidden % self.heads:
            wrong.append(f"hidden {self.hidden} cannot be shared evenly by {self.heads} heads")
        stride = 2 ** len(self.channels)
        for name, size in (("height", self.height), ("width", self.width)):
            if size % stride:
                wrong.append(f"{name} {size} cannot be halved {len(self.channels)} times: give a multiple of {stride}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class Architecture(Encoder):
    """Shape of the recogniser's network; see ``training.recogniser.model.RecogniserConfig``."""

    encoder_layers: int = Field(3, ge=0)
    decoder_layers: int = Field(2, ge=1)
    max_tokens: int = Field(24, ge=4)


class Lora(Strict):
    """Low-rank adaptation through peft."""

    rank: int = Field(8, ge=1, le=1024)
    alpha: int = Field(16, ge=1)
    dropout: float = Field(0.05, ge=0, lt=1)
    target_modules: str = r".*(query|key|value|output|up|down|project|conv1|conv2|downs\.[1-9])"

    @field_validator("target_modules")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return pattern


class RecogniserTraining(Strict):
    """One training run of the recogniser."""

    recipe: Literal["base", "adapt"]
    start: Literal["nothing", "bundled", "given"] | None = None
    """What the run goes on from unless ``--base`` names a model: new weights, the bundled base, or a model that has to
    be named. Not given = ``nothing`` for a base, ``bundled`` for an adaptation."""
    seed: int = Field(1, ge=0, le=2**31 - 1)
    architecture: Architecture = Architecture()
    lora: Lora | None = None
    batch: int = Field(64, ge=1)
    steps: int = Field(30000, ge=1)
    warmup: int = Field(500, ge=0)
    learning_rate: float = Field(1e-3, gt=0)
    matrix_rate: float | None = Field(None, gt=0)
    """Learning rate of the matrices inside the network, which Muon then steps; not given = AdamW for all."""
    weight_decay: float = Field(0.02, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    box_weight: float = Field(2.0, ge=0)
    cell_weight: float = Field(1.0, ge=0)
    clip: float = Field(1.0, gt=0)
    bf16: bool | None = None
    """bfloat16 arithmetic; not given = where the processor has it."""
    threads: int = Field(1, ge=1)
    average: float = Field(0.999, ge=0, lt=1)
    """Decay of the running average of the weights, which is what is saved and measured."""
    drawn_images: int = Field(200_000, ge=16)
    drawn_workers: int = Field(1, ge=0)
    shard: int = Field(2048, ge=8)
    passes: int = Field(3, ge=1)
    """How often each drawn image is used, moved and distorted anew each time."""
    validation_images: int = Field(2048, ge=8)
    other_characters: float = Field(0.06, ge=0, lt=1)
    """Share of images that are no jianzi: ordinary characters, blanks, noise."""
    presets: dict[str, Annotated[float, Field(gt=0)]] | None = Field(None, min_length=1)
    """How often each preset of the drawing engine is used; not given = as ``SHARES`` of the drawing has it."""
    spoilt: float = Field(0.4, ge=0, le=1)
    """Share of drawn jianzi that are spoilt as crops of a scanned print are, instead of by the drawing engine."""
    worse: float = Field(0.0, ge=0, le=1)
    """Share of these that are spoilt worse: neighbours that look in, heavy ink, few pixels, no sharpness."""
    drawn_share: float = Field(0.33, ge=0, lt=1)
    """Adaptation: share of drawn images in a batch; at least one of each batch is a crop."""
    members: int = Field(1, ge=1, le=16)
    """Adaptation: so many adapters are trained, each of its own seed, and their mean is written."""
    log_every: int = Field(50, ge=1)
    evaluate_every: int = Field(1000, ge=1)
    checkpoint_every: int = Field(500, ge=1)
    max_minutes: float | None = Field(None, gt=0)
    """Stop in good order when this much time has passed: the learning rate follows the clock, not the steps."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        wrong = []
        if self.recipe == "adapt":
            if round(self.batch * self.drawn_share) >= self.batch:
                wrong.append(f"drawn_share {self.drawn_share} leaves no crop in a batch of {self.batch}")
            if self.start == "nothing":
                wrong.append("an adapter needs a model that it lies over: start is `bundled` or `given`")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @field_validator("presets")
    @classmethod
    def _are_presets(cls, presets: dict[str, float] | None) -> dict[str, float] | None:
        unknown = sorted(set(presets or ()) - set(PRESETS))
        if unknown:
            raise ValueError(f"there is no preset {', '.join(map(repr, unknown))}; one of: {', '.join(PRESETS)}")
        return presets

    @property
    def starts_from(self) -> Literal["nothing", "bundled", "given"]:
        """``start``, or what it is for this recipe where it is not given."""
        return self.start or ("bundled" if self.recipe == "adapt" else "nothing")


def names() -> list[str]:
    """The bundled configurations."""
    return sorted(p.stem for p in CONFIGS.glob("*.yaml"))


_Config = TypeVar("_Config", bound=BaseModel)


def load(name: str | Path, **overrides: Any) -> RecogniserTraining:
    """Read and check a configuration of the recogniser; see :func:`read_config`."""
    return read_config(name, RecogniserTraining, CONFIGS, overrides)


def read_config(name: str | Path, model: type[_Config], folder: Path, overrides: Mapping[str, Any]) -> _Config:
    """Read and check a configuration.

    Args:
        name: a bundled name (``tiny``, ``base``, …) or a YAML file.
        model: what its keys are.
        folder: where the bundled ones lie.
        overrides: values that replace those of the file (None = leave).

    Raises:
        NotFoundError: no such configuration.
        UsageError: with all problems, one a line.
    """
    import yaml

    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = folder / f"{name}.yaml"
    if not path.is_file():
        bundled = sorted(p.stem for p in folder.glob("*.yaml"))
        near = difflib.get_close_matches(str(name), bundled, 1)
        raise NotFoundError(
            f"no training configuration {str(name)!r}",
            hint=f"did you mean {near[0]!r}?" if near else f"bundled: {', '.join(bundled)}; or give a .yaml file",
        )
    how = "a configuration is UTF-8 text, a list of `key: value` lines"
    text = decoded(path.read_bytes(), UsageError, file=path.name, hint=how)
    try:
        raw = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise UsageError(
            f"not well-formed YAML: {getattr(error, 'problem', error)}",
            file=path.name,
            line=mark.line + 1 if mark else None,
            hint=how,
        ) from None
    if not isinstance(raw, dict):
        raise UsageError("this is no configuration", file=path.name, hint=how)
    raw.update({k: v for k, v in overrides.items() if v is not None})
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise UsageError(
            f"{error.error_count()} problem(s) in this configuration:\n" + "\n".join(_problems(error, model)),
            code="bad-config",
            file=path.name,
            hint="`guqin train --help` says how to list the bundled ones with their keys",
        ) from None


def _problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    lines = []
    for problem in error.errors():
        where = ".".join(str(p) for p in problem["loc"])
        if problem["type"] == "extra_forbidden":
            owner = _owner(model, problem["loc"][:-1])
            near = difflib.get_close_matches(str(problem["loc"][-1]), owner.model_fields, 1)
            lines.append(f"  {where}: unknown key" + (f" (did you mean {near[0]!r}?)" if near else ""))
        elif problem["type"] == "value_error":  # of a validator above, which names the values itself
            lines.append(f"  {where + ': ' if where else ''}{problem['ctx']['error']}")
        else:
            lines.append(f"  {where}: {problem['msg'].lower()}, got {problem['input']!r}")
    return lines


def _owner(model: type[BaseModel], path: tuple[int | str, ...]) -> type[BaseModel]:
    """The nested model that the keys ``path`` lead to."""
    for part in path:
        field = model.model_fields.get(str(part))
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        model = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), model)
    return model

"""The training loop: clock, averages, log, checkpoints that survive a kill.

Nothing random is kept between steps: every step seeds its own generator, so a resumed run does what the
uninterrupted one would have done. Files are safetensors and JSON only.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from guqin_kg.errors import DataError, UsageError
from training import checkpoint, precision
from training.config import RecogniserTraining
from training.muon import Muon, matrices
from training.recogniser.augment import augment
from training.recogniser.shards import Shard

BatchOf = Callable[[int], tuple[Shard, Tensor | None]]
"""Step to its batch, and per image whether it is drawn (None: all are)."""


@dataclass
class Run:
    """A training run: where it writes and how far it is.

    Attributes:
        out: folder of ``log.jsonl`` and ``checkpoint/``.
        step: next step to take.
        elapsed: seconds spent so far, over all resumed parts.
    """

    out: Path
    step: int = 0
    elapsed: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)

    def log(self, row: dict[str, Any]) -> None:
        """Append one row to ``log.jsonl``."""
        self.history.append(row)
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def train(
    model: nn.Module,
    config: RecogniserTraining,
    batches: BatchOf,
    out: Path,
    *,
    evaluate: Callable[[nn.Module, int], dict[str, Any]] | None = None,
    resume: bool = True,
    quiet: bool = False,
    freeze_norms: bool = False,
    origin: Mapping[str, str | None] | None = None,
) -> Run:
    """Train ``model`` in place; it ends with the averaged weights.

    Args:
        model: takes ``pixels, tokens, labels, boxes``; its output has ``loss``.
        config: the run's numbers.
        batches: step to batch.
        out: folder for log and checkpoints.
        evaluate: called now and then with the averaged model; its figures go to the log.
        resume: go on from ``out/checkpoint`` when there is one.
        quiet: no progress line.
        freeze_norms: keep batch norm as it is (adaptation).
        origin: what the run comes from besides its configuration; see :func:`settings_of`.

    Raises:
        DataError: the loss is no longer a number, or the checkpoint is damaged.
        UsageError: the checkpoint is of another configuration or origin.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(config.threads)
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimiser = optimiser_of(parameters, config)
    average = {n: p.detach().clone() for n, p in parameters.items()}
    run = Run(out)
    place = out / "checkpoint"
    settings = settings_of(config, origin)
    saved = checkpoint.take(place, optimiser, settings, model=_trained(model), average=average) if resume else None
    if saved is not None:
        run.step, run.elapsed = saved["step"], saved["elapsed"]
        _say(quiet, f"going on at step {run.step}")
    elif (out / "log.jsonl").exists():
        (out / "log.jsonl").unlink()

    def keep() -> None:
        about = {"step": run.step, "elapsed": run.elapsed}
        checkpoint.keep(place, about, optimiser, settings, model=_trained(model), average=average)

    started = time.time() - run.elapsed
    sums: dict[str, float] = {}
    seen, spoken, counted = run.step, time.time(), 0
    total_steps = config.steps
    while run.step < total_steps:
        progress = run.step / total_steps
        if config.max_minutes:
            progress = max(progress, (time.time() - started) / 60 / config.max_minutes)
        if progress >= 1:
            break
        pace = min(1.0, (run.step + 1) / max(1, config.warmup)) * _decay(progress)
        rate = config.learning_rate * pace
        for group in optimiser.param_groups:
            group["lr"] = group["full_rate"] * pace
        model.train()
        if freeze_norms:
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        parts = _step(model, config, batches, run.step, optimiser, list(parameters.values()))
        decay = min(config.average, (1 + run.step) / (10 + run.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), list(parameters.values()), 1 - decay)
        run.step += 1
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value
        counted += 1
        run.elapsed = time.time() - started
        if run.step % config.log_every == 0:
            speed = (run.step - seen) * config.batch / max(1e-6, time.time() - spoken)
            row = {"step": run.step, **{n: round(v / counted, 5) for n, v in sums.items()}}
            row |= {"learning_rate": round(rate, 7), "images_per_second": round(speed, 1)}
            row |= {"minutes": round(run.elapsed / 60, 2)}
            run.log(row)
            left = run.elapsed * (1 - progress) / max(progress, 1e-6) / 60
            _say(quiet, f"step {run.step} loss {row.get('loss')} {speed:.0f} images/s, about {left:.0f} min left")
            seen, spoken, sums, counted = run.step, time.time(), {}, 0
        if evaluate and run.step % config.evaluate_every == 0:
            with _swapped(parameters, average):
                model.eval()
                figures = evaluate(model, run.step)
            run.log({"step": run.step, "minutes": round((time.time() - started) / 60, 2), **figures})
            _say(quiet, f"step {run.step} " + " ".join(f"{k} {v}" for k, v in figures.items()))
            spoken = time.time()
        if run.step % config.checkpoint_every == 0:
            keep()
    run.elapsed = time.time() - started
    keep()
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(average[name])
    model.eval()
    return run


_EDGES = ("position", "embedding", "head", "downs.0")
"""Parts of the names of weights at the edges of the network, which Muon is not made for."""


def optimiser_of(parameters: Mapping[str, nn.Parameter], config: RecogniserTraining) -> torch.optim.Optimizer:
    """AdamW, or Muon for the matrices inside the network; vectors are not decayed."""
    plain = [p for p in parameters.values() if p.ndim < 2]
    inside = [parameters[name] for name in matrices(parameters, _EDGES)] if config.matrix_rate else []
    held = {id(p) for p in inside}
    decayed = [p for p in parameters.values() if p.ndim >= 2 and id(p) not in held]
    rate, decay = config.learning_rate, config.weight_decay
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": decay, "full_rate": rate},
        {"params": plain, "weight_decay": 0.0, "full_rate": rate},
    ]
    if not config.matrix_rate:
        return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)
    groups.append({"params": inside, "weight_decay": decay, "full_rate": config.matrix_rate, "orthogonal": True})
    return Muon(groups, lr=rate, betas=(0.9, 0.98), fused=True)


def settings_of(config: RecogniserTraining, origin: Mapping[str, str | None] | None = None) -> dict[str, Any]:
    """What makes a run this run and no other.

    Args:
        config: its configuration.
        origin: ``started_from`` (hash of the weights it starts from, or None), ``graph`` and ``vocabulary`` (hashes).
    """
    return config.model_dump(mode="json") | dict(origin or {})


def refuse_other(place: Path, settings: Mapping[str, Any]) -> None:
    """Refuse, before anything is drawn or trained, to go on from the checkpoint ``place`` with other ``settings``.

    Raises:
        UsageError: it is of a run with another graph, vocabulary or configuration.
    """
    try:
        before = json.loads((place / "run.json").read_text("utf-8")).get("settings") or {}
    except (OSError, ValueError, AttributeError):
        before = {}
    changed = [key for key in ("graph", "vocabulary") if key in before and before[key] != settings.get(key)]
    if changed:
        words = " and with it the words that the model reads" if "vocabulary" in changed else ""
        raise UsageError(
            f"the graph has changed{words} since this run was begun",
            code="other-run",
            file=place.parent,
            hint="give a new folder (--out) to train with the graph as it is now, or delete this folder of the run",
        )
    checkpoint.refuse_other(place, settings)


def _step(
    model: nn.Module,
    config: RecogniserTraining,
    batches: BatchOf,
    step: int,
    optimiser: torch.optim.Optimizer,
    parameters: list[Tensor],
) -> dict[str, float]:
    generator = torch.Generator().manual_seed((config.seed << 32) + step)
    torch.manual_seed((config.seed << 32) + step)
    shard, drawn = batches(step)
    pixels, tokens, boxes = tensors(shard)
    pixels, boxes = augment(pixels, boxes, generator)
    labels = torch.where(tokens[:, 1:] > 0, tokens[:, 1:], -100)
    with precision.autocast(config.bf16):
        result = model(
            pixels=pixels.contiguous(memory_format=torch.channels_last),
            tokens=tokens[:, :-1],
            labels=labels,
            boxes=boxes[:, :-1],
            label_smoothing=config.label_smoothing,
            box_weight=config.box_weight,
            cell_weight=config.cell_weight,
            cell_mask=drawn,
        )
    if not torch.isfinite(result.loss):
        raise DataError(
            f"the loss is not a number at step {step}", hint="lower learning_rate, or switch bf16 off, and resume"
        )
    result.loss.backward()
    norm = nn.utils.clip_grad_norm_(parameters, config.clip)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    parts = {"loss": result.loss, "token_loss": result.token_loss, "box_loss": result.box_loss}
    parts |= {"cell_loss": result.cell_loss, "gradient": norm}
    return {k: float(v.detach()) for k, v in parts.items() if v is not None}


def tensors(shard: Shard) -> tuple[Tensor, Tensor, Tensor]:
    """A shard as float pixels in 0..1, long tokens and float boxes, cut to its longest sequence."""
    used = int((shard.tokens > 0).sum(1).max())
    pixels = torch.from_numpy(shard.images).float().div_(255).unsqueeze(1)
    tokens = torch.from_numpy(shard.tokens[:, :used].astype("int64"))
    boxes = torch.from_numpy(shard.boxes[:, :used].astype("float32"))
    return pixels, tokens, boxes


def _decay(progress: float) -> float:
    """Cosine from 1 to 0.01."""
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class _swapped:
    """Within the block the model has the averaged weights."""

    def __init__(self, parameters: dict[str, nn.Parameter], average: dict[str, Tensor]) -> None:
        self.parameters, self.average = parameters, average

    def _exchange(self) -> None:
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                held = parameter.detach().clone()
                parameter.copy_(self.average[name])
                self.average[name].copy_(held)

    def __enter__(self) -> None:
        self._exchange()

    def __exit__(self, *_: object) -> None:
        self._exchange()


def _trained(model: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint keeps of the model: trained weights and buffers."""
    return {n: p for n, p in model.named_parameters() if p.requires_grad} | dict(model.named_buffers())


def _say(quiet: bool, text: str) -> None:
    if not quiet:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

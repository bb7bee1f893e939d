"""One training loop for both stages: clock or steps, log, checkpoints of safetensors that a killed run goes on from."""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from guqin_kg.errors import DataError, LimitError
from training import checkpoint


@dataclass(frozen=True)
class Plan:
    """How a stage is trained; see ``DialogueTraining`` for the fields."""

    steps: int
    learning_rate: float
    seed: int
    warmup: int = 0
    weight_decay: float = 0.0
    clip: float = 1.0
    log_every: int = 20
    checkpoint_every: int = 200
    max_minutes: float | None = None
    bf16: bool = False


def room_for(parameters: Mapping[str, nn.Parameter], out: Path) -> None:
    """Refuse a run whose checkpoints would not fit on the disk.

    Raises:
        LimitError: with what is needed and what is there.
    """
    need = 2 * sum(p.numel() * 4 * 3 for p in parameters.values())
    place = next(folder for folder in (out, *out.resolve().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < need:
        raise LimitError(
            f"checkpoints need {need / 1e6:.0f} MB and {free / 1e6:.0f} MB are free",
            code="no-space",
            file=out,
            hint="free some space, or give --out on another disk",
        )


def fit(
    name: str,
    parameters: Mapping[str, nn.Parameter],
    loss_of: Callable[[int], Tensor],
    plan: Plan,
    out: Path,
    *,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Train ``parameters`` in place.

    Args:
        name: of the stage; its log is ``out/log.jsonl`` and its checkpoint ``out/checkpoint-NAME``.
        parameters: what is trained, by name.
        loss_of: the loss of step n, a function of n alone (so that a run that goes on sees the same samples).
        plan: steps, rates, clock.
        out: folder of the run.
        quiet: no progress.

    Returns:
        The rows of the log of this call.

    Raises:
        DataError: the loss is no longer a number, or the checkpoint is of another run.
        LimitError: no space.
    """
    place = out / f"checkpoint-{name}"
    room_for(parameters, out)
    out.mkdir(parents=True, exist_ok=True)
    wanted = list(parameters.values())
    optimiser = torch.optim.AdamW(wanted, lr=plan.learning_rate, weight_decay=plan.weight_decay, betas=(0.9, 0.95))
    saved = checkpoint.take(place, optimiser, model=parameters) or {"step": 0, "spent": 0.0}
    step, spent = int(saved["step"]), float(saved["spent"])
    began, began_at = time.time() - spent, step
    rows: list[dict[str, Any]] = []
    sums: list[float] = []
    while step < plan.steps:
        progress = step / plan.steps
        if plan.max_minutes:
            progress = max(progress, (time.time() - began) / 60 / plan.max_minutes)
        if progress >= 1:
            break
        rate = plan.learning_rate
        if plan.warmup:
            rate *= min(1.0, (step + 1) / plan.warmup) * (0.02 + 0.49 * (1 + math.cos(math.pi * progress)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed((plan.seed << 20) + step)
        with torch.autocast("cpu", torch.bfloat16, enabled=plan.bf16):
            loss = loss_of(step)
        if not torch.isfinite(loss):
            raise DataError(f"the loss is not a number at step {step}", hint="lower learning_rate and start again")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(wanted, plan.clip)
        optimiser.step()
        sums.append(float(loss.detach()))
        step += 1
        if step % plan.log_every == 0 or step == plan.steps:
            minutes = round((time.time() - began) / 60, 2)
            rows.append({"stage": name, "step": step, "loss": round(sum(sums) / len(sums), 5), "minutes": minutes})
            sums = []
            _log(out, rows[-1])
            if not quiet:
                left = (time.time() - began) / 60 * (1 - progress) / max(progress, 1e-6)
                print(  # noqa: T201 — progress belongs on standard error
                    f"{name} {step}/{plan.steps} loss {rows[-1]['loss']} about {left:.0f} min left", file=sys.stderr
                )
        if step % plan.checkpoint_every == 0:
            checkpoint.keep(place, {"step": step, "spent": time.time() - began}, optimiser, model=parameters)
    if sums:  # ended by the clock between two rows
        minutes = round((time.time() - began) / 60, 2)
        rows.append({"stage": name, "step": step, "loss": round(sum(sums) / len(sums), 5), "minutes": minutes})
        _log(out, rows[-1])
    if step > began_at:
        checkpoint.keep(place, {"step": step, "spent": time.time() - began}, optimiser, model=parameters)
    return rows


def _log(out: Path, row: Mapping[str, Any]) -> None:
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")

"""The training loop: clock or steps, log, several processes, checkpoints that a killed run goes on from."""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from guqin_kg.errors import DataError, LimitError
from training import checkpoint, precision, processes
from training.muon import Muon, matrices


@dataclass(frozen=True)
class Plan:
    """How a run is trained; see ``DialogueTraining`` for the fields."""

    steps: int
    learning_rate: float
    seed: int
    matrix_rate: float | None = None
    warmup: int = 0
    weight_decay: float = 0.0
    clip: float = 1.0
    log_every: int = 20
    checkpoint_every: int = 200
    max_minutes: float | None = None
    clock: Literal["wall", "processor"] = "wall"
    bf16: bool | None = None


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
    settings: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Train ``parameters`` in place.

    Args:
        name: of the run; its log is ``out/log.jsonl`` and its checkpoint ``out/checkpoint-NAME``.
        parameters: what is trained, by name.
        loss_of: the loss of step n, a function of n alone (so that a run that goes on sees the same samples); with
            several processes each gives its share, and the shares add up to the loss.
        plan: steps, rates, clock.
        out: folder of the run.
        settings: the configuration, kept with the checkpoint: a run of another is not gone on from.
        quiet: no progress.

    Returns:
        The rows of the log of this call.

    Raises:
        DataError: the loss is no longer a number, or the checkpoint is damaged or trains other weights.
        UsageError: the checkpoint is of other ``settings``.
        LimitError: no space.
    """
    place = out / f"checkpoint-{name}"
    rank, count = processes.world()
    room_for(parameters, out)
    out.mkdir(parents=True, exist_ok=True)
    kind = next(iter(parameters.values())).device.type
    wanted = list(parameters.values())
    optimiser = optimiser_of(parameters, plan)
    saved = checkpoint.take(place, optimiser, settings, model=parameters) or {"step": 0, "spent": 0.0}
    step, spent = int(saved["step"]), float(saved["spent"])
    now = time.process_time if plan.clock == "processor" else time.time
    began, began_at = now() - spent, step
    rows: list[dict[str, Any]] = []
    sums: list[float] = []
    while step < plan.steps:
        progress = step / plan.steps
        if plan.max_minutes:
            gone = (now() - began) / 60
            if count > 1:  # every process must take the same decision
                gone = processes.total(gone) / count
            progress = max(progress, gone / plan.max_minutes)
        if progress >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = rate_at(plan, step, progress) * group["full_rate"] / plan.learning_rate
        torch.manual_seed((plan.seed << 20) + step)
        with precision.autocast(plan.bf16, kind):
            loss = loss_of(step)
        if not torch.isfinite(loss):
            raise DataError(f"the loss is not a number at step {step}", hint="lower learning_rate and start again")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        processes.add_gradients(wanted)
        nn.utils.clip_grad_norm_(wanted, plan.clip)
        optimiser.step()
        sums.append(processes.total(float(loss.detach())))
        step += 1
        if step % plan.log_every == 0 or step == plan.steps:
            minutes = round((now() - began) / 60, 2)
            rows.append({"stage": name, "step": step, "loss": round(sum(sums) / len(sums), 5), "minutes": minutes})
            sums = []
            if rank == 0:
                log_row(out, rows[-1])
            if not quiet and rank == 0:
                done = max(progress, step / plan.steps)
                left = (now() - began) / 60 * (1 - done) / done
                print(  # noqa: T201 — progress belongs on standard error
                    f"{name} {step}/{plan.steps} loss {rows[-1]['loss']} about {left:.0f} min left", file=sys.stderr
                )
        if step % plan.checkpoint_every == 0 and rank == 0:
            checkpoint.keep(place, {"step": step, "spent": now() - began}, optimiser, settings, model=parameters)
    if sums:  # ended by the clock between two rows
        minutes = round((now() - began) / 60, 2)
        rows.append({"stage": name, "step": step, "loss": round(sum(sums) / len(sums), 5), "minutes": minutes})
        if rank == 0:
            log_row(out, rows[-1])
    if step > began_at and rank == 0:
        checkpoint.keep(place, {"step": step, "spent": now() - began}, optimiser, settings, model=parameters)
    return rows


_EDGES = ("embed", "lm_head")
"""Parts of the names of weights at the edges of the network, which Muon is not made for."""


def optimiser_of(parameters: Mapping[str, nn.Parameter], plan: Plan) -> torch.optim.Optimizer:
    """AdamW, or Muon for the matrices inside the network."""
    inside = matrices(parameters, _EDGES) if plan.matrix_rate else []
    groups: list[dict[str, Any]] = [
        {"params": [p for n, p in parameters.items() if n not in set(inside)], "full_rate": plan.learning_rate}
    ]
    how: dict[str, Any] = {"lr": plan.learning_rate, "weight_decay": plan.weight_decay, "betas": (0.9, 0.95)}
    if not inside:
        return torch.optim.AdamW(groups, **how)
    groups.append({"params": [parameters[n] for n in inside], "full_rate": plan.matrix_rate, "orthogonal": True})
    kind = next(iter(parameters.values())).device.type
    return Muon(groups, half=precision.half(plan.bf16, kind), **how)


def rate_at(plan: Plan, step: int, progress: float) -> float:
    """Learning rate of a step: rising over the warm-up, then falling along a cosine (constant without a warm-up)."""
    rate = plan.learning_rate
    if plan.warmup:
        rate *= min(1.0, (step + 1) / plan.warmup) * (0.02 + 0.49 * (1 + math.cos(math.pi * progress)))
    return rate


def last_row(out: Path) -> dict[str, Any]:
    """The last whole row of the log of a run, written by this call or an earlier one; empty where there is none."""
    try:
        lines = (out / "log.jsonl").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            row = json.loads(line)
        except ValueError:  # cut off when the run was killed
            continue
        if isinstance(row, dict):
            return row
    return {}


def log_row(out: Path, row: Mapping[str, Any]) -> None:
    """Append a row to the log of a run; one that was cut off when the run was killed goes."""
    with (out / "log.jsonl").open("ab+") as file:
        file.seek(0)
        before = file.read()
        if not before.endswith(b"\n"):
            file.truncate(before.rfind(b"\n") + 1)
        file.write((json.dumps(row) + "\n").encode())

"""Training with the weights divided among processes (FSDP, DeepSpeed), as ``accelerate launch`` sets it up."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from guqin_kg.errors import DataError
from training import checkpoint, processes
from training.dialogue.loop import Plan, log_row, rate_at, room_for

_SWITCHES = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")


def wanted() -> bool:
    """Whether ``accelerate launch`` asks for divided weights."""
    return any(os.environ.get(name, "").lower() == "true" for name in _SWITCHES)


def _place(out: Path, step: int) -> Path:
    return out / f"checkpoint-sharded-{step}"


def _name(note: Path, told: Mapping[str, Any]) -> None:
    """Say which checkpoint is whole, at once or not at all; those of other steps are not needed then."""
    part = note.with_suffix(".new")
    part.write_text(json.dumps(told), "utf-8")
    part.replace(note)
    for place in note.parent.glob("checkpoint-sharded-*"):
        if place.is_dir() and place != _place(note.parent, told["step"]):
            shutil.rmtree(place, ignore_errors=True)


def fit(
    model: nn.Module,
    loss_with: Callable[[nn.Module], Callable[[int], Tensor]],
    plan: Plan,
    out: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """Train what of ``model`` wants gradients.

    Args:
        model: whole, the same in every process.
        loss_with: gives, for the divided model, the loss of step n (this process's share; the shares add up).
        plan: steps and rates; ``max_minutes`` and ``bf16`` are the launcher's affair here.
        out: folder of the run; checkpoints are accelerate's, in ``out/checkpoint-sharded-STEP``; a note beside them
            names the one that is whole, and only then the one before it goes.
        settings: the configuration, kept in the note: a run of another is not gone on from.
        quiet: no progress.

    Returns:
        The rows of the log, and the whole state dict (filled in the first process only).

    Raises:
        DataError: the loss is no longer a number.
        UsageError: the checkpoint is of other ``settings``.
        LimitError: no space for the checkpoints.
    """
    from accelerate import Accelerator

    accelerator = Accelerator()
    out.mkdir(parents=True, exist_ok=True)
    optimiser: Any = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=plan.learning_rate, weight_decay=plan.weight_decay,
        betas=(0.9, 0.95),
    )  # fmt: skip
    room_for({name: p for name, p in model.named_parameters() if p.requires_grad}, out)
    model, optimiser = accelerator.prepare(model, optimiser)
    note, step = out / "checkpoint-sharded.json", 0
    if note.is_file():
        told = json.loads(note.read_text("utf-8"))
        checkpoint.same(note, told.get("settings"), settings)
        step = int(told["step"])
        accelerator.load_state(str(_place(out, step)))
    loss_of = loss_with(model)
    rows: list[dict[str, Any]] = []
    sums: list[float] = []
    began, began_at = time.time(), step
    while step < plan.steps:
        for group in optimiser.param_groups:
            group["lr"] = rate_at(plan, step, step / plan.steps)
        torch.manual_seed((plan.seed << 20) + step)
        loss = loss_of(step)
        if not torch.isfinite(loss):
            raise DataError(f"the loss is not a number at step {step}", hint="lower learning_rate and start again")
        # the launcher's wrappers take the mean over processes; our shares are to be added
        accelerator.backward(loss * accelerator.num_processes)
        accelerator.clip_grad_norm_(model.parameters(), plan.clip)
        optimiser.step()
        optimiser.zero_grad()
        sums.append(processes.total(float(loss.detach())))
        step += 1
        if step % plan.log_every == 0 or step == plan.steps:
            minutes = round((time.time() - began) / 60, 2)
            rows.append({"stage": "sharded", "step": step, "loss": round(sum(sums) / len(sums), 5), "minutes": minutes})
            sums = []
            if accelerator.is_main_process:
                log_row(out, rows[-1])
                if not quiet:
                    left = (time.time() - began) / 60 / (step - began_at) * (plan.steps - step)
                    print(  # noqa: T201 — progress belongs on standard error
                        f"step {step}/{plan.steps} loss {rows[-1]['loss']} about {left:.0f} min left", file=sys.stderr
                    )
        if step % plan.checkpoint_every == 0 or step == plan.steps:
            accelerator.save_state(str(_place(out, step)))
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                _name(note, {"step": step, "settings": settings})
    return rows, accelerator.get_state_dict(model)

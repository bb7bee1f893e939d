"""Checkpoints of all training loops: folders of safetensors and JSON that a killed run goes on from.

A checkpoint is written beside the one before and then put in its place, so that at every moment one of them is whole.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from guqin_kg.errors import DataError, LimitError, UsageError

_OPTIMISER = "optimiser"
_SETTINGS = "settings"

_MAY_CHANGE = {
    *("steps", "max_steps", "epochs", "max_minutes", "clock", "threads", "drawn_workers"),
    *("log_every", "evaluate_every", "checkpoint_every", "evaluate_notations", "answer_tokens", "published"),
}
"""Settings that may differ between the parts of one run: how long, on how many cores, what is told of it."""


def _beside(place: Path, ending: str) -> Path:
    return place.with_name(f"{place.name}.{ending}")


def keep(
    place: Path,
    run: Mapping[str, Any],
    optimiser: torch.optim.Optimizer,
    settings: Mapping[str, Any] | None = None,
    **states: Mapping[str, Tensor],
) -> None:
    """Write the checkpoint ``place``.

    Args:
        place: its folder; ``place.new`` and ``place.old`` beside it are used on the way.
        run: what else is to be known (step, seconds spent), as JSON.
        optimiser: its moments are kept.
        settings: the configuration of the run, as JSON; ``take`` compares it with its own.
        states: tensors by name; each argument becomes a file of that name.

    Raises:
        LimitError: it cannot be written; the one before is kept.
    """
    part, old = _beside(place, "new"), _beside(place, "old")
    shutil.rmtree(part, ignore_errors=True)
    moments = {
        f"{at}.{name}": torch.as_tensor(value)
        for at, row in optimiser.state_dict()["state"].items()
        for name, value in row.items()
    }
    try:
        part.mkdir(parents=True)
        for file, tensors in {**states, _OPTIMISER: moments}.items():
            plain = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
            save_file(plain, part / f"{file}.safetensors")
        (part / "run.json").write_text(json.dumps({**run, _SETTINGS: settings} if settings else dict(run)), "utf-8")
        shutil.rmtree(old, ignore_errors=True)
        if place.exists():
            place.rename(old)
        part.rename(place)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise LimitError(
            f"cannot write a checkpoint: {getattr(error, 'strerror', None) or error}",
            code="no-space",
            file=place,
            hint="free some space and give the same command again: the run goes on from the checkpoint before",
        ) from None


def take(
    place: Path,
    optimiser: torch.optim.Optimizer,
    settings: Mapping[str, Any] | None = None,
    **states: Mapping[str, Tensor],
) -> dict[str, Any] | None:
    """Read the checkpoint ``place`` into the tensors of ``states`` and the optimiser, in place.

    Returns:
        What ``keep`` was given as ``run``; None where there is no checkpoint.

    Raises:
        DataError: it is damaged, or of a run that trains other tensors.
        UsageError: it is of a run with other ``settings``.
    """
    old = _beside(place, "old")
    if not (place / "run.json").is_file():
        if not (old / "run.json").is_file():
            return None
        shutil.rmtree(place, ignore_errors=True)
        old.rename(place)  # killed between the two renames
    try:
        run: dict[str, Any] = json.loads((place / "run.json").read_text("utf-8"))
        same(place, run.pop(_SETTINGS, None), settings)
        for file, tensors in states.items():
            found = load_file(place / f"{file}.safetensors")
            if found.keys() != tensors.keys():
                raise KeyError("other weights are trained")
            with torch.no_grad():
                for name, value in found.items():
                    tensors[name].copy_(value)
        rows: dict[int, dict[str, Tensor]] = {}
        for name, value in load_file(place / f"{_OPTIMISER}.safetensors").items():
            at, key = name.split(".")
            rows.setdefault(int(at), {})[key] = value
        state = optimiser.state_dict()
        state["state"] = rows
        optimiser.load_state_dict(state)
        _lay_out(optimiser)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise DataError(
            f"cannot go on from this checkpoint: {error}",
            file=place,
            hint="it belongs to another configuration or is damaged; start in a new folder (--out)",
        ) from None
    return run


def refuse_other(place: Path, settings: Mapping[str, Any]) -> None:
    """Refuse, before anything is drawn or trained, to go on from the checkpoint ``place`` with other ``settings``.

    Raises:
        UsageError: it is of a run with other settings. Where none or a damaged one lies, ``take`` speaks.
    """
    try:
        run = json.loads((place / "run.json").read_text("utf-8"))
    except (OSError, ValueError):
        return
    same(place, run.get(_SETTINGS), settings)


def same(place: Path, before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> None:
    """Refuse the checkpoint ``place`` where its settings, ``before``, are others than those of ``now``.

    Raises:
        UsageError: they are.
    """
    if not before or not now:
        return
    now = json.loads(json.dumps(now))
    other = [
        f"{key} {_short(before.get(key))} there, {_short(now.get(key))} here"
        for key in sorted(before.keys() | now.keys())
        if key not in _MAY_CHANGE and before.get(key) != now.get(key)
    ]
    if other:
        raise UsageError(
            f"this folder holds a run of another configuration: {'; '.join(other)}",
            code="other-run",
            file=place,
            hint="give a new folder (--out), or delete this checkpoint to start from the beginning",
        )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"


def _lay_out(optimiser: torch.optim.Optimizer) -> None:
    """Give the loaded moments the memory layout of their weights: the fused step reads both as flat memory."""
    for parameter, row in optimiser.state.items():
        for name, value in row.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                row[name] = torch.empty_like(parameter).copy_(value)

"""Several processes of one run, as ``torchrun`` or ``accelerate launch`` start them: ranks, waiting, sums."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn


def world() -> tuple[int, int]:
    """``(rank, processes)`` of this run, joining the group that the launcher prepared; ``(0, 1)`` without one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return 0, 1
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return torch.distributed.get_rank(), size


def typed(module: str, config: str, out: Path) -> str:
    """The command of a run that a launcher started, for the card of its model (names without folders)."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    how = f"torchrun --nproc_per_node {size}" if size > 1 else "python"
    return f"{how} -m {module} --config {Path(config).name} --out {out.name}"


def device() -> torch.device:
    """The graphics processor of this process where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def wait() -> None:
    """Go on when every process is here."""
    if world()[1] > 1:
        torch.distributed.barrier()


def total(value: float) -> float:
    """The sum of ``value`` over the processes."""
    if world()[1] == 1:
        return value
    tensor = torch.tensor([value], dtype=torch.float64 if device().type == "cpu" else torch.float32, device=device())
    torch.distributed.all_reduce(tensor)
    return float(tensor)


def add_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its sum over the processes (each has the gradient of its share of the loss)."""
    if world()[1] == 1:
        return
    wanted = list(parameters)
    for parameter in wanted:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in wanted if parameter.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])  # one message, not one for each
    torch.distributed.all_reduce(together)
    for gradient, part in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))

"""Muon: momentum made orthogonal for the matrices inside a network, AdamW for everything else.

After K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). ``torch.optim.Muon`` does the
same, but multiplies in bfloat16 whatever the processor and takes two-dimensional weights only: where bfloat16 is
emulated one of its steps took 5.4 to 6.2 seconds, one of these 0.27 (docs/adr/0028-muon-for-the-base.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from training import processes

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz step, from the paper: they bring singular values near 1 in five steps."""
_STEPS = 5
_MOMENTUM = 0.95


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly (singular values 0.7 to 1.2).

    Args:
        matrices: ``(count, rows, columns)``.
    """
    a, b, c = _QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x


def matrices(parameters: Mapping[str, Tensor], edges: Sequence[str]) -> list[str]:
    """Names of the weights that Muon is made for: matrices, none of the ``edges`` of the network in their name."""
    return [name for name, p in parameters.items() if p.ndim >= 2 and not any(edge in name for edge in edges)]


class Muon(torch.optim.AdamW):
    """AdamW whose groups with ``orthogonal=True`` are stepped by Muon.

    Weights of more than two dimensions count as matrices of their first dimension by the others. Several processes,
    which must have the same gradients, make a share of the matrices orthogonal each.

    Args:
        groups: parameter groups.
        half: make them orthogonal in bfloat16, as the paper does.
        defaults: of AdamW.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, half: bool = False, **defaults: Any) -> None:
        super().__init__([{"orthogonal": False, **group} for group in groups], **defaults)
        self._type = torch.bfloat16 if half else torch.float32

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step of all groups."""
        groups = self.param_groups
        try:
            self.param_groups = [g for g in groups if not g["orthogonal"]]
            super().step()
        finally:
            self.param_groups = groups
        for group in groups:
            if group["orthogonal"]:
                self._orthogonal_step(group)

    @torch.no_grad()
    def _orthogonal_step(self, group: dict[str, Any]) -> None:
        alike: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(weight)
                state["step"] = torch.zeros(())  # AdamW looks for it in every state that it loads
            state["step"] += 1
            state["momentum"].lerp_(weight.grad, 1 - _MOMENTUM)
            update = weight.grad.lerp(state["momentum"], _MOMENTUM).flatten(1)
            alike.setdefault(tuple(update.shape), []).append((weight, update))
        for (rows, columns), pairs in alike.items():  # equal shapes go through the products together
            step = -group["lr"] * max(1.0, rows / columns) ** 0.5
            for (weight, _), update in zip(pairs, self._shared(torch.stack([u for _, u in pairs])), strict=True):
                weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(update.view_as(weight), alpha=step)

    def _shared(self, updates: Tensor) -> Tensor:
        """The updates made orthogonal, each by one of the processes; all get the same."""
        rank, count = processes.world()
        made = torch.zeros_like(updates)
        mine = updates[rank::count]
        if len(mine):
            made[rank::count] = orthogonal(mine.to(self._type)).to(made.dtype)
        if count > 1:
            torch.distributed.all_reduce(made)
        return made

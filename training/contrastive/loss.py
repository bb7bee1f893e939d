"""The contrastive loss, aware of equal classes, over one process or many.

A batch often holds the same notation twice; the plain InfoNCE then pushes a text away from an image of itself (the
false negatives users of ImageBind-LoRA report).  Here all pairs of one class are positives.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Gather(torch.autograd.Function):
    """All-gather whose backward pass returns each process the gradient of its own rows."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor) -> Tensor:
        world = torch.distributed.get_world_size()
        parts = [torch.empty_like(rows) for _ in range(world)]
        torch.distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        (whole,) = gradients
        whole = whole.contiguous()
        torch.distributed.all_reduce(whole)
        rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        # every process computes the same loss; averaging of gradients by DDP divides by their number again
        return whole.chunk(world)[rank]


def gathered(rows: Tensor) -> Tensor:
    """``rows`` of all processes, gradients kept; the same rows where there is one process."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return _Gather.apply(rows) if rows.is_floating_point() else _gather_labels(rows)
    return rows


def _gather_labels(rows: Tensor) -> Tensor:
    parts = [torch.empty_like(rows) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def pair_loss(
    first: Tensor,
    second: Tensor,
    labels: Tensor,
    scale: Tensor,
    class_aware: bool = True,
    more: Tensor | None = None,
    more_labels: Tensor | None = None,
) -> Tensor:
    """Symmetric InfoNCE of two modalities.

    Args:
        first, second: unit vectors, shape ``(rows, space)``; row ``i`` of both is the same notation.
        labels: class of each row, shape ``(rows,)``.
        scale: inverse temperature.
        class_aware: rows of equal class are positives; False takes the diagonal only.
        more: further rows of the second modality, ``(n, space)``, that only ``first`` is compared with.
        more_labels: their classes; a row of an equal class is a positive too.
    """
    logits = (scale * first @ second.T).float()
    if class_aware:
        target = (labels[:, None] == labels[None, :]).to(logits.dtype)
    else:
        target = torch.eye(len(labels), dtype=logits.dtype, device=logits.device)
    backward = _cross(logits.T, target.T)
    if more is not None and more_labels is not None:
        logits = torch.cat([logits, (scale * first @ more.T).float()], 1)
        same = (labels[:, None] == more_labels[None, :]).to(logits.dtype)
        target = torch.cat([target, same], 1)
    return (_cross(logits, target) + backward) / 2


def _cross(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy with positives sharing the weight of their row."""
    target = target / target.sum(1, keepdim=True)
    return -(target * F.log_softmax(logits, 1)).sum(1).mean()


class ContrastiveLoss(nn.Module):
    """Mean of :func:`pair_loss` over all pairs of modalities, on the rows of all processes."""

    def __init__(self, class_aware: bool = True) -> None:
        super().__init__()
        self.class_aware = class_aware

    def forward(
        self, vectors: Mapping[str, Tensor], labels: Tensor, scale: Tensor, more_labels: Tensor | None = None
    ) -> Tensor:
        """``vectors``: modality to unit vectors ``(rows, space)``; ``negative``: more texts, of ``more_labels``."""
        together = {name: gathered(rows) for name, rows in vectors.items()}
        classes = gathered(labels)
        more = together.pop("negative", None)
        others = gathered(more_labels) if more_labels is not None else None
        parts = []
        for a, b in combinations(sorted(together), 2):
            extra = (more, others) if b == "text" else (None, None)
            parts.append(pair_loss(together[a], together[b], classes, scale, self.class_aware, *extra))
        return torch.stack(parts).mean()


class SyncedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the images of all processes (torch's own works on GPUs only)."""

    def forward(self, x: Tensor) -> Tensor:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        if not (self.training and distributed):
            return super().forward(x)
        from torch.distributed.nn.functional import all_reduce

        count = x.numel() / x.shape[1] * torch.distributed.get_world_size()
        sums = all_reduce(torch.stack([x.sum((0, 2, 3)), (x * x).sum((0, 2, 3))]).float())
        mean = sums[0] / count
        variance = sums[1] / count - mean * mean
        with torch.no_grad():
            momentum = self.momentum or 0.1
            assert self.running_mean is not None
            assert self.running_var is not None
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / max(count - 1, 1), momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]

    @classmethod
    def convert(cls, model: nn.Module) -> nn.Module:
        """Replace every batch norm in ``model`` by this one, keeping weights and statistics."""
        for name, child in model.named_children():
            if type(child) is nn.BatchNorm2d:
                new = cls(child.num_features, child.eps, child.momentum)
                new.load_state_dict(child.state_dict())
                for name_of, parameter in new.named_parameters():  # what rested goes on resting
                    parameter.requires_grad_(child.get_parameter(name_of).requires_grad)
                setattr(model, name, new)
            else:
                cls.convert(child)
        return model

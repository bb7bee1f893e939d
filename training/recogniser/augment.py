"""Random changes of a batch of windows on the fly: position, slant, stroke weight, contrast, noise.

Cheap, batched, in torch, and determined by the generator given. The drawn images already vary in style; this makes
each pass over them new.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def augment(pixels: Tensor, boxes: Tensor, generator: torch.Generator, strength: float = 1.0) -> tuple[Tensor, Tensor]:
    """Move, slant and stretch each window a little and vary its ink.

    Args:
        pixels: float ``(batch, 1, height, width)`` in 0..1, ink 1.
        boxes: ``(batch, length, 4)`` in 0..1, NaN where unknown.
        generator: source of randomness.
        strength: 1 for drawn images, less for gentler changes.

    Returns:
        Pixels and boxes after the change.
    """
    batch = len(pixels)

    def uniform(low: float, high: float) -> Tensor:
        middle, half = (low + high) / 2, (high - low) / 2 * strength
        return middle + half * (2 * torch.rand(batch, generator=generator) - 1)

    # the inverse map (window to source), in -1..1 coordinates
    scale_x, scale_y = uniform(0.92, 1.08), uniform(0.92, 1.08)
    slant, lean = uniform(-0.1, 0.1), uniform(-0.05, 0.11)  # bars of a written hand rise to the right
    shift_x, shift_y = uniform(-0.06, 0.06), uniform(-0.05, 0.05)
    theta = torch.stack([torch.stack([scale_x, slant, shift_x], -1), torch.stack([lean, scale_y, shift_y], -1)], 1)
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    bend = F.interpolate(
        (torch.rand(batch, 2, 4, 4, generator=generator) - 0.5) * 0.09 * strength,
        size=pixels.shape[-2:],
        mode="bicubic",
        align_corners=False,
    )
    pixels = F.grid_sample(pixels, grid + bend.permute(0, 2, 3, 1), padding_mode="zeros", align_corners=False)
    boxes = _move(boxes, theta)
    # stroke weight: blend with the locally darkest or lightest
    which = torch.rand(batch, generator=generator)[:, None, None, None]
    amount = 0.7 * strength * torch.rand(batch, generator=generator)[:, None, None, None]
    thick, thin = F.max_pool2d(pixels, 3, 1, 1), -F.max_pool2d(-pixels, 3, 1, 1)
    pixels = torch.where(which < 0.2, torch.lerp(pixels, thick, amount), pixels)
    pixels = torch.where(which > 0.9, torch.lerp(pixels, thin, amount * 0.6), pixels)
    blur = F.avg_pool2d(pixels, 3, 1, 1, count_include_pad=False)
    pixels = torch.where((which > 0.2) & (which < 0.4), torch.lerp(pixels, blur, amount), pixels)
    # contrast and noise
    gain = uniform(0.8, 1.2)[:, None, None, None]
    bias = uniform(-0.06, 0.06)[:, None, None, None]
    noise = torch.rand(batch, generator=generator)[:, None, None, None] * 0.12 * strength
    pixels = pixels * gain + bias + noise * torch.randn(pixels.shape, generator=generator)
    return pixels.clamp(0, 1), boxes


def _move(boxes: Tensor, theta: Tensor) -> Tensor:
    """Boxes under the inverse of ``theta``: corners moved, then enclosed again."""
    linear, shift = theta[:, :, :2], theta[:, :, 2]
    back = torch.linalg.inv(linear)
    x0, y0, x1, y1 = (boxes * 2 - 1).unbind(-1)
    corners = torch.stack(
        [torch.stack(p, -1) for p in ((x0, y0), (x1, y0), (x0, y1), (x1, y1))], 2
    )  # (batch, length, 4, 2)
    moved = (corners - shift[:, None, None]) @ back.transpose(1, 2)[:, None]
    low, high = moved.amin(2), moved.amax(2)
    return ((torch.cat([low, high], -1) + 1) / 2).clamp(0, 1)

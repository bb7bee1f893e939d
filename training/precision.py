"""Whether half precision helps on this processor."""

from __future__ import annotations

from functools import cache

import torch


@cache
def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware.

    Where it does not, torch emulates it and a training step takes ten times as long as in single precision.
    """
    found = torch.cpu.get_capabilities()
    return any(bool(found.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def autocast(wanted: bool | None) -> torch.autocast:
    """bfloat16 on the CPU: as ``wanted``, or (None) where the processor has it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16() if wanted is None else wanted)

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


def half(wanted: bool | None, kind: str = "cpu") -> bool:
    """bfloat16 as ``wanted``, or (None) where the processor has it; ``kind`` is torch's type of device."""
    if wanted is not None:
        return wanted
    return has_bfloat16() if kind == "cpu" else torch.cuda.is_bf16_supported()


def autocast(wanted: bool | None, kind: str = "cpu") -> torch.autocast:
    """Products in bfloat16 where :func:`half` says so."""
    return torch.autocast(kind, torch.bfloat16, enabled=half(wanted, kind))

"""Reading safetensors without torch, and laying an adapter (LoRA) over the base weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg.errors import DataError, NotFoundError

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}
_LIMIT = 1 << 30


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file (no code is ever run; bfloat16 becomes float32).

    Raises:
        NotFoundError: no such file.
        DataError: damaged or not safetensors.
    """
    if not path.is_file():
        raise NotFoundError(f"no weights at {path.name}", file=path, hint="is the model folder complete?")
    data = path.read_bytes()
    try:
        length = int.from_bytes(data[:8], "little")
        if len(data) < 8 or length > min(len(data) - 8, _LIMIT):
            raise ValueError("its header is cut off")
        header = json.loads(data[8 : 8 + length])
        body = memoryview(data)[8 + length :]
        out = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            start, stop = entry["data_offsets"]
            raw = body[start:stop]
            if entry["dtype"] == "BF16":
                values = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
            else:
                values = np.frombuffer(raw, _TYPES[entry["dtype"]])
            out[name] = values.reshape(entry["shape"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"not a whole safetensors file: {error}", code="bad-weights", file=path) from None
    return out


def file_hash(path: Path) -> str:
    """blake2b (16 bytes, hex) of a file."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def merge(
    base: Mapping[str, np.ndarray], adapter: Mapping[str, np.ndarray], config: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Base weights with a peft LoRA adapter added in.

    Args:
        base: state dict of the model.
        adapter: tensors of ``adapter_model.safetensors``.
        config: its ``adapter_config.json``.

    Raises:
        DataError: the adapter names layers that the base has not, or of another shape.
    """
    out = dict(base)
    scale = config["lora_alpha"] / (config["r"] ** 0.5 if config.get("use_rslora") else config["r"])
    for name, down in adapter.items():
        if ".lora_A." not in name:
            continue
        target = name.removeprefix("base_model.model.").replace(".lora_A.weight", ".weight")
        up = adapter.get(name.replace(".lora_A.", ".lora_B."))
        weight = out.get(target)
        if up is None or weight is None:
            raise DataError(f"this adapter changes {target}, which the base has not", code="adapter-mismatch")
        a, b = down.astype(np.float32), up.astype(np.float32)
        delta = (b.reshape(b.shape[0], -1) @ a.reshape(a.shape[0], -1)) * scale
        if delta.size != weight.size:
            raise DataError(f"this adapter's {target} has another shape than the base's", code="adapter-mismatch")
        out[target] = weight.astype(np.float32) + delta.reshape(weight.shape)
    return out

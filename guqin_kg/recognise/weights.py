"""Reading the files of model folders without torch, and laying an adapter (LoRA) over the base weights."""

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
_WHOLE = "the folder is not complete: copy or train it again"


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a model folder.

    Raises:
        NotFoundError: no such file.
        DataError: it cannot be read, or holds no object.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no {path.name} in this folder", file=path.parent, hint=_WHOLE)
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(
            f"cannot read it: {error.strerror or error}", file=path, hint="may you read this file?"
        ) from None
    except ValueError as error:
        raise DataError(f"damaged: {error}", code="bad-model", file=path, hint=_WHOLE) from None
    if not isinstance(found, dict):
        raise DataError("damaged: it holds no object", code="bad-model", file=path, hint=_WHOLE)
    return found


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file (no code is ever run; bfloat16 becomes float32).

    Raises:
        NotFoundError: no such file.
        DataError: damaged or not safetensors.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no {path.name} in this folder", file=path.parent, hint=_WHOLE)
    data = path.read_bytes()
    try:
        length = int.from_bytes(data[:8], "little")
        if len(data) < 8 or length > min(len(data) - 8, _LIMIT):
            raise ValueError("its header is cut off")
        header = json.loads(data[8 : 8 + length])
        if not isinstance(header, dict):
            raise ValueError("its header names no tensors")
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
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a whole safetensors file: {error}", code="bad-weights", file=path, hint=_WHOLE) from None
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
    try:
        scale = config["lora_alpha"] / (config["r"] ** 0.5 if config.get("use_rslora") else config["r"])
    except (KeyError, TypeError, ZeroDivisionError):
        raise DataError(
            "adapter_config.json has no rank (r) and lora_alpha", code="bad-model", hint="an adapter of peft is taken"
        ) from None
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

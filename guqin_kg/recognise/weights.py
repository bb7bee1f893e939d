"""Reading the files of model folders without torch, and laying an adapter (LoRA) over the base weights."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg.errors import DataError, NotFoundError

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}
_LIMIT = 1 << 30
_ONE_RUN = "adapter_config.json and adapter_model.safetensors must be of one run; copy the folder again"
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


def read_adapter(folder: Path) -> dict[str, Any]:
    """``adapter.json`` of an adapter's folder, the parts that are used checked.

    Raises:
        NotFoundError: no such file.
        DataError: damaged: no object, a name that is no text, or a calibration that cannot be used.
    """
    path = folder / "adapter.json"
    about = read_json(path)
    name = about.get("name", folder.name)
    if not isinstance(name, str) or not name:
        raise DataError(f"damaged: its name is {name!r}, not a text", code="bad-model", file=path, hint=_WHOLE)
    if about.get("calibration") is not None:
        check_calibration(about["calibration"], path)
    return about


def check_calibration(found: Any, path: Path) -> dict[str, Any]:
    """``found``, the calibration that ``path`` holds, when it can be used.

    Raises:
        DataError: no object, or a value of it is no number or no sensible one.
    """
    if not isinstance(found, dict):
        raise DataError("damaged: its calibration is no object", code="bad-model", file=path, hint=_WHOLE)
    for key, least, what in (
        ("temperature", 0.001, "a number from 0.001 on"),
        ("other_bias", -math.inf, "a number"),
        ("prior_weight", 0.0, "a number from 0 on"),
    ):
        value = found.get(key, 1.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < least:
            raise DataError(
                f"damaged: {key} is {value!r}, not {what}", code="bad-model", file=path, hint=f"{_WHOLE}, or set it"
            )
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
    base: Mapping[str, np.ndarray],
    adapter: Mapping[str, np.ndarray],
    config: Mapping[str, Any],
    folder: Path | None = None,
) -> dict[str, np.ndarray]:
    """Base weights with a peft LoRA adapter added in.

    Args:
        base: state dict of the model.
        adapter: tensors of ``adapter_model.safetensors``.
        config: its ``adapter_config.json``.
        folder: where the adapter lies, for messages.

    Raises:
        DataError: the adapter names layers that the base has not, or of another shape; its configuration is damaged,
            says another rank than the tensors have, or asks for what is not done here (see :func:`_scale`).
    """
    out = dict(base)
    settings = folder / "adapter_config.json" if folder else None
    scale = _scale(config, settings)
    for name, down in adapter.items():
        if ".lora_A." not in name:
            continue
        target = name.removeprefix("base_model.model.").replace(".lora_A.weight", ".weight")
        up = adapter.get(name.replace(".lora_A.", ".lora_B."))
        weight = out.get(target)
        if up is None or weight is None:
            raise DataError(
                f"this adapter changes {target}, which the base has not", code="adapter-mismatch", file=folder
            )
        a, b = (x.astype(np.float32).reshape(len(x) if x.ndim else 1, -1) for x in (down, up))
        if (a.shape[0], b.shape[1]) != (config["r"], config["r"]):
            raise DataError(
                f"damaged: it says rank {config['r']}, the tensors of {target} have {a.shape[0]} and {b.shape[1]}",
                code="bad-model",
                file=settings,
                hint=_ONE_RUN,
            )
        delta = (b @ a) * scale
        if delta.size != weight.size:
            raise DataError(
                f"this adapter's {target} has another shape than the base's", code="adapter-mismatch", file=folder
            )
        out[target] = weight.astype(np.float32) + delta.reshape(weight.shape)
    return out


def _scale(config: Mapping[str, Any], path: Path | None) -> float:
    """What the product of the two matrices of each layer is multiplied with.

    Raises:
        DataError: no rank and alpha, or a kind of LoRA that would be added wrongly.
    """
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise DataError(
            "adapter_config.json has no rank (r) and lora_alpha that are numbers",
            code="bad-model",
            file=path,
            hint="an adapter of peft is taken",
        )
    for key in ("rank_pattern", "alpha_pattern", "use_dora"):
        if config.get(key):
            raise DataError(
                f"adapter_config.json sets {key}, which is not added here",
                code="bad-model",
                file=path,
                hint="plain LoRA of one rank is taken",
            )
    return float(alpha / (rank**0.5 if config.get("use_rslora") else rank))

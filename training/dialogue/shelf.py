"""What an adapter of the dialogue model says about itself, and whether it fits the base it is laid over."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from guqin_kg.errors import DataError, UsageError
from guqin_kg.recognise.weights import file_hash

ABOUT = "adapter.json"
_WEIGHTS = "model.safetensors"


def vocabulary_hash(processor: Any) -> str:
    """blake2b of the tokenizer's words in the order of their numbers."""
    words = sorted(processor.tokenizer.get_vocab().items(), key=lambda item: item[1])
    return hashlib.blake2b("\n".join(word for word, _ in words).encode(), digest_size=16).hexdigest()


def describe(out: Path, base: str, place: str, processor: Any, graph: str, command: str) -> None:
    """Write ``adapter.json``: base, hash of its weights (where they are one local file), vocabulary and graph."""
    weights = Path(place) / _WEIGHTS
    about = {
        "base": base,
        "base_weights": file_hash(weights) if weights.is_file() else None,
        "vocabulary": vocabulary_hash(processor),
        "graph": graph,
        "command": command,
    }
    (out / ABOUT).write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", "utf-8")


def check(adapter: Path, place: str, processor: Any) -> None:
    """Refuse an adapter that was trained over other weights or with another vocabulary than the base has.

    Raises:
        UsageError: it was (``adapter-mismatch``).
        DataError: ``adapter.json`` is damaged.
    """
    path = adapter / ABOUT
    if not path.is_file():  # made by another tool: peft checks the shapes
        return
    try:
        about = dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"cannot read {ABOUT}: {error}", file=path) from None
    weights = Path(place) / _WEIGHTS
    have = {
        "vocabulary": vocabulary_hash(processor),
        "base_weights": file_hash(weights) if weights.is_file() else None,
    }
    for key, what in (("vocabulary", "another vocabulary"), ("base_weights", "another base")):
        if about.get(key) and have[key] and about[key] != have[key]:
            raise UsageError(
                f"this adapter was trained on {what} than this base has",
                code="adapter-mismatch",
                file=adapter,
                hint="train it again over this base: guqin train dialogue --config FILE --base bundled --out DIR",
                expected=about[key],
                found=have[key],
            )

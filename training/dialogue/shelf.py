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


def weights_hash(place: str) -> str | None:
    """Hash of the weights in a model folder, of one safetensors file or of all its parts; None for a hub id."""
    folder = Path(place)
    if (folder / _WEIGHTS).is_file():
        return file_hash(folder / _WEIGHTS)
    parts = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not parts:
        return None
    each = "\n".join(f"{part.name} {file_hash(part)}" for part in parts)
    return hashlib.blake2b(each.encode(), digest_size=16).hexdigest()


def revision_of(model: Any) -> str | None:
    """The commit of a hub model, as transformers notes it in the configuration; None for a folder."""
    found = getattr(getattr(model, "config", None), "_commit_hash", None)
    return str(found) if found else None


def describe(
    out: Path, base: str, place: str, processor: Any, graph: str, command: str, revision: str | None = None
) -> None:
    """Write ``adapter.json``: base, hash of its weights or its ``revision`` on the hub, vocabulary and graph."""
    about = {
        "base": base,
        "base_weights": weights_hash(place),
        "base_revision": revision,
        "vocabulary": vocabulary_hash(processor),
        "graph": graph,
        "command": command,
    }
    (out / ABOUT).write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", "utf-8")


def check(adapter: Path, place: str, processor: Any, revision: str | None = None) -> None:
    """Refuse an adapter that was trained over other weights or with another vocabulary than the base has.

    Args:
        adapter: its folder.
        place: folder of the base, or its hub id.
        processor: of the base.
        revision: commit of the base, where it is from the hub.

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
    have = {
        "vocabulary": vocabulary_hash(processor),
        "base_weights": weights_hash(place),
        "base_revision": revision,
    }
    known = (("vocabulary", "another vocabulary"), ("base_weights", "another base"), ("base_revision", "another base"))
    for key, what in known:
        if about.get(key) and have[key] and about[key] != have[key]:
            raise UsageError(
                f"this adapter was trained on {what} than this base has",
                code="adapter-mismatch",
                file=adapter,
                hint="train it again over this base: guqin train dialogue --config FILE --base bundled --out DIR",
                expected=about[key],
                found=have[key],
            )

"""Model folders: what a finished run leaves, and how a run starts from one.

``config.json`` and ``model.safetensors`` are those of transformers (``from_pretrained`` reads the folder);
``vocabulary.json`` the words; ``calibration.json`` temperature and threshold; ``training.json`` the recipe, seed,
command and figures; ``README.md`` the card.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from guqin_kg.errors import NotFoundError
from guqin_kg.recognise import shelf
from guqin_kg.recognise.recogniser import network_of
from guqin_kg.recognise.vocabulary import Vocabulary
from training.config import Architecture
from training.quiet import no_bars
from training.recogniser.model import Recogniser, RecogniserConfig


def build(architecture: Architecture, vocabulary: Vocabulary, seed: int) -> Recogniser:
    """A new network for this vocabulary, its weights fixed by ``seed``."""
    torch.manual_seed(seed)
    model = Recogniser(RecogniserConfig(tokens=len(vocabulary), **architecture.model_dump()))
    return _laid_out(model)


def read(folder: Path) -> tuple[Recogniser, Vocabulary]:
    """The network and the words of a model folder.

    Raises:
        NotFoundError: no model there, or a file of it is missing.
        DataError: damaged, or files that do not belong together.
    """
    if not (folder / "model.safetensors").is_file():
        raise NotFoundError(
            f"no recogniser in {folder}", hint="a model folder has config.json, model.safetensors, vocabulary.json"
        )
    network_of(shelf.load(folder))  # says in one line what transformers says in twenty
    no_bars()
    model = Recogniser.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    return _laid_out(model), Vocabulary.read(folder / "vocabulary.json")


_BY_WORD = ("token_embedding.", "token_head.", "cell_head.")
"""Tensors with a row for each word of the vocabulary."""


def grown(model: Recogniser, known: Vocabulary, wanted: Vocabulary, seed: int) -> Recogniser:
    """``model`` with the words of ``wanted``: known words keep what was learnt, new ones start afresh."""
    if known.ids == wanted.ids:
        return model
    torch.manual_seed(seed)
    settings = model.config.to_dict() | {"tokens": len(wanted)}
    new = Recogniser(RecogniserConfig(**settings))
    old_state, state = model.state_dict(), new.state_dict()
    places = [(at, known.index[name]) for at, name in enumerate(wanted.ids) if name in known.index]
    here, there = (torch.tensor(column) for column in zip(*places, strict=True))
    for name, tensor in state.items():
        if name.startswith(_BY_WORD):
            tensor[here] = old_state[name][there]
        else:
            tensor.copy_(old_state[name])
    new.load_state_dict(state)
    return _laid_out(new)


def write(
    folder: Path,
    model: Recogniser,
    vocabulary: Vocabulary,
    graph: str,
    calibration: dict[str, Any],
    about: dict[str, Any],
) -> None:
    """Write a model folder; weights in half precision (the runtime computes in single)."""
    folder.mkdir(parents=True, exist_ok=True)
    no_bars()
    half = Recogniser(cast(RecogniserConfig, model.config))
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(folder, safe_serialization=True)
    vocabulary.write(folder / "vocabulary.json", graph)
    for name, content in (("calibration", calibration), ("training", about)):
        text = json.dumps(content, ensure_ascii=False, indent=1)
        (folder / f"{name}.json").write_text(text + "\n", "utf-8")


def _laid_out(model: Recogniser) -> Recogniser:
    """The same model, its convolutions in the memory order that is quickest on a CPU."""
    nn.Module.to(model, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model

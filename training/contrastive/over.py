"""Contrastive models over a base of other people: what is kept beside the trained weights, and reading them again.

The folder holds ``adapter.safetensors`` (what was trained, nothing of the base) and ``over.json``: the base, the hash
of its weights where they are one file here, LoRA, the size of the window, the graph's content hash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import nn

from guqin_kg.errors import DataError, NotFoundError, UsageError
from guqin_kg.recognise.towers import OVER
from guqin_kg.recognise.towers import Towers as Encoders
from guqin_kg.recognise.weights import file_hash, read_json, read_safetensors
from training import processes
from training.contrastive import run
from training.contrastive.config import ContrastiveTraining
from training.contrastive.model import HubTowers, pictures

WEIGHTS = "adapter.safetensors"
KIND = "guqin-contrastive-over"

Array = np.ndarray
_KEPT = ("lora", "towers")
"""Keys of the configuration that decide what the trained weights are laid over, and what they look at."""
_BATCH = 64


def save(model: nn.Module, out: Path, config: ContrastiveTraining, graph: str | None = None) -> None:
    """Write what was trained of ``model``, and what is needed to lay it over its base again, to the folder ``out``."""
    from safetensors.torch import save_file

    assert config.base is not None
    settings = config.model_dump(mode="json")
    about = {
        "model_type": KIND,
        "base": str(Path(config.base).resolve()) if Path(config.base).exists() else config.base,
        "weights": base_hash(config.base),
        "graph": graph,
        **{key: settings[key] for key in _KEPT},
    }
    save_file({name: value.detach().contiguous() for name, value in _trained(model).items()}, out / WEIGHTS)
    (out / OVER).write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", "utf-8")


def base_hash(base: str) -> str | None:
    """Hash of the weights of a base where they are one file of a folder here, else None."""
    found = [path for path in (Path(base) / n for n in ("model.safetensors", "pytorch_model.bin")) if path.is_file()]
    return file_hash(found[0]) if found else None


def read(folder: Path, trust_remote_code: bool = False) -> tuple[nn.Module, ContrastiveTraining]:
    """The base with what was trained laid over it, and the configuration in so far as it is kept.

    Args:
        folder: written by :func:`save`.
        trust_remote_code: run code that comes with the base; only when the user asks.

    Raises:
        NotFoundError: no such model, or its base is not there.
        UsageError: the base has other weights than the one it was trained over.
        DataError: damaged, or files that do not belong together.
    """
    about = read_json(folder / OVER)
    trained = read_safetensors(folder / WEIGHTS)
    try:
        config = ContrastiveTraining(base=str(about["base"]), **{key: about[key] for key in _KEPT})
    except (KeyError, ValidationError) as error:
        raise _unfit(folder, f"{OVER} does not say what this model is: {str(error).splitlines()[0]}") from None
    base = str(config.base)
    if Path(base).is_absolute() and not Path(base).exists():
        raise NotFoundError(
            "the base of this model is no longer where it was",
            code="no-base",
            file=base,
            hint=f"put it back, or name the folder where it is now as `base` in {folder / OVER}",
        )
    found = base_hash(base)
    if about.get("weights") not in (None, found):
        raise UsageError(
            "this model was trained over a base of other weights than are there now",
            code="adapter-mismatch",
            file=base,
            hint=f"name the folder of the base it was trained over as `base` in {folder / OVER}, or train it again",
            expected=about["weights"],
            found=found,
        )
    model: nn.Module = HubTowers(base, trust_remote_code)
    if config.lora is not None:
        model = run.adapted(model, config)
    wanted = _trained(model)
    if wanted.keys() != trained.keys():
        other = sorted(wanted.keys() ^ trained.keys())
        raise _unfit(folder, f"the weights and {OVER} do not belong together: {len(other)} differ, as {other[0]}")
    with torch.no_grad():
        for name, parameter in wanted.items():
            if parameter.shape != trained[name].shape:
                raise _unfit(folder, f"{name} has another shape than in this base")
            parameter.copy_(torch.from_numpy(trained[name].copy()))
    return model.eval().to(processes.device()), config


def _unfit(folder: Path, message: str) -> DataError:
    return DataError(message, code="bad-model", file=folder, hint="copy the folder again, or train it anew")


def _trained(model: nn.Module) -> Mapping[str, nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


class HubEncoders(Encoders):
    """Such a model as it is measured: pictures and readings to vectors, as the towers of our own give them.

    Args:
        folder: of the model.
        trust_remote_code: run code that comes with the base; only when the user asks.

    Raises:
        NotFoundError, UsageError, DataError: as :func:`read`.
    """

    def __init__(self, folder: Path, trust_remote_code: bool = False) -> None:
        self.model, config = read(folder, trust_remote_code)
        shape = {**config.towers.model_dump(), "modalities": ("image", "text"), "characters": ""}
        super().__init__({}, shape, folder.name, file_hash(folder / WEIGHTS))

    def images(self, windows: Array) -> Array:
        """Unit vectors ``(n, space)`` of windows: uint8 ``(n, height, width)``, ink 255."""
        return self._vectors("image", pictures(windows))

    def texts(self, texts: Sequence[str]) -> Array:
        """Unit vectors ``(n, space)`` of readings."""
        return self._vectors("text", list(texts))

    def unknown(self, texts: Sequence[str]) -> list[str]:
        """Characters that the base's tokenizer has no token for, sorted."""
        tokenizer = getattr(getattr(run.inner(self.model), "processor", None), "tokenizer", None)
        mark = getattr(tokenizer, "unk_token_id", None)
        if tokenizer is None or mark is None:
            return []
        found = sorted(set("".join(texts)))
        return [c for c in found if mark in tokenizer(c, add_special_tokens=False)["input_ids"]]

    def _vectors(self, kind: str, rows: Sequence[Any]) -> Array:
        with torch.no_grad():
            parts = [self.model(**{kind: rows[at : at + _BATCH]})[kind] for at in range(0, len(rows), _BATCH)]
        return torch.cat(parts).float().cpu().numpy() if parts else self._none()

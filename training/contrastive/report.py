"""What a contrastive model is worth, and how it is kept: vectors, ranks in every direction, the model folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from guqin_kg.recognise.towers import OVER
from training.contrastive import over
from training.contrastive.config import ContrastiveTraining
from training.contrastive.data import Items
from training.contrastive.model import SHAPE, Towers, TowersConfig
from training.contrastive.run import inner, inputs_of
from training.evaluate import retrieval
from training.quiet import no_bars


def embed(
    model: nn.Module, items: Items, rows: np.ndarray, config: ContrastiveTraining, batch: int = 256
) -> dict[str, np.ndarray]:
    """Vectors of the images ``rows``, and of all texts and sounds of the run."""
    model.eval()
    found: dict[str, list[np.ndarray]] = {"image": [], "text": [], "audio": []}
    with torch.no_grad():
        for start in range(0, len(rows), batch):
            part = inputs_of(model, items, rows[start : start + batch], config)
            found["image"].append(model(image=part["image"])["image"].float().cpu().numpy())
        for start in range(0, len(items.texts), batch):
            texts = list(items.texts[start : start + batch])
            towers = inner(model)
            value = towers.text_tensor(texts) if isinstance(towers, Towers) else texts
            found["text"].append(model(text=value)["text"].float().cpu().numpy())
            if items.audio is not None and "audio" in config.modalities:
                sounds = torch.from_numpy(items.audio[start : start + batch])
                found["audio"].append(model(audio=sounds)["audio"].float().cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in found.items() if parts}


def figures(model: nn.Module, items: Items, config: ContrastiveTraining) -> dict[str, Any]:
    """In-batch and full-gallery ranks of the held-out images, in every direction the modalities allow."""
    vectors = embed(model, items, items.held, config)
    return retrieval.figures(vectors["image"], vectors["text"], items.labels[items.held], vectors.get("audio"))


def save(
    model: nn.Module,
    out: Path,
    config: ContrastiveTraining,
    report: Mapping[str, Any],
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write the model folder: ``config.json`` and safetensors in half precision, ``training.json`` with the figures.

    LoRA is added into towers trained here; of other people's bases only what was trained is written (see ``over``).
    """
    out.mkdir(parents=True, exist_ok=True)
    no_bars()
    if isinstance(inner(model), Towers):
        merge = getattr(model, "merge_and_unload", None)
        whole: Any = merge() if merge else model
        half = Towers(TowersConfig(**{k: v for k, v in whole.config.to_dict().items() if k in SHAPE}))
        half.load_state_dict(whole.state_dict())
        half.half().save_pretrained(out)
        (out / OVER).unlink(missing_ok=True)  # of another run, which was here before
    else:
        over.save(model, out, config, (about or {}).get("graph"))
    told = {"config": config.model_dump(mode="json"), "figures": dict(report), **(about or {})}
    (out / "training.json").write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", "utf-8")

"""Where models and adapters lie, and whether an adapter fits the base.

The bundled base is ``models/recogniser``; bundled adapters are the folders of ``models/adapters``; a user's own lie in
``adapters`` of the workspace or of the per-user folder. An adapter is a peft folder with an ``adapter.json`` that
names the base's weights, the vocabulary and the graph it was trained with.
"""

from __future__ import annotations

import contextlib
import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg import resources
from guqin_kg.errors import NotFoundError, UsageError
from guqin_kg.recognise import adapter_folders
from guqin_kg.recognise.vocabulary import Vocabulary
from guqin_kg.recognise.weights import check_calibration, file_hash, merge, read_adapter, read_json, read_safetensors

BASE = "recogniser"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Model:
    """A model folder, read.

    Attributes:
        name: what answers call it.
        folder: where it lies.
        weights: state dict, adapter already added in.
        config: ``config.json``.
        vocabulary: its words.
        calibration: temperature and more, of the adapter when there is one.
        graph: content hash of the graph it was trained with.
        hash: of the weights of the base.
        adapter: ``adapter.json`` or None.
    """

    name: str
    folder: Path
    weights: dict[str, np.ndarray]
    config: dict[str, Any]
    vocabulary: Vocabulary
    calibration: dict[str, Any]
    graph: str
    hash: str
    adapter: dict[str, Any] | None = None


def places(workspace: Path | None = None) -> list[Path]:
    """The folders searched for adapters, nearest first."""
    out = [workspace / "adapters"] if workspace else []
    out.append(adapter_folders.per_user())
    with contextlib.suppress(NotFoundError):
        out.append(resources.folder("models") / "adapters")
    return out


def adapters(workspace: Path | None = None) -> list[dict[str, Any]]:
    """What is on the shelf: see :func:`adapter_folders.rows_of`."""
    return adapter_folders.rows_of(places(workspace))


def find_adapter(name: str, workspace: Path | None = None) -> Path:
    """The folder of adapter ``name`` (or ``name`` itself, when it is a folder with an adapter).

    Raises:
        NotFoundError: names what there is.
        UsageError: it is an adapter of the contrastive model.
    """
    from guqin_kg.recognise import towers

    if (Path(name) / "adapter.json").is_file():
        return Path(name)
    there = {row["name"]: Path(row["folder"]) for row in adapters(workspace)}
    if name in there:
        return there[name]
    with contextlib.suppress(NotFoundError):
        for row in towers.adapters(workspace=workspace):
            if row["name"] == name:
                raise _of_another_model(name, towers.BASE, Path(row["folder"]))
    near = difflib.get_close_matches(name, there, 1)
    listed = ", ".join(sorted(there)) or "none yet"
    raise NotFoundError(
        f"no adapter {name!r}",
        hint=f"did you mean {near[0]!r}?" if near else f"there are: {listed} (guqin adapters)",
    )


def _of_another_model(name: str, model: str, folder: Path) -> UsageError:
    return UsageError(
        f"{name!r} is an adapter of the {model} model, not of the recogniser",
        code="adapter-mismatch",
        file=folder,
        hint="only adapters of the recogniser are used or merged here; `guqin adapters` lists whose each is",
    )


def load(base: Path | None = None, adapter: str | None = None, workspace: Path | None = None) -> Model:
    """Read the base and, when asked for, an adapter over it.

    Args:
        base: model folder (default: the bundled one).
        adapter: name or folder.
        workspace: where adapters are looked for first.

    Raises:
        NotFoundError: no such model or adapter.
        UsageError: the adapter was trained on another base or vocabulary, or belongs to the contrastive model.
        DataError: a file is damaged; it is named.
    """
    folder = base or resources.folder("models") / BASE
    if not (folder / WEIGHTS).is_file():
        raise NotFoundError(
            f"no recogniser in {folder}",
            hint="train one: guqin train recognizer --config base --out DIR",
        )
    config = read_json(folder / "config.json")
    vocabulary = Vocabulary.read(folder / "vocabulary.json")
    graph = str(read_json(folder / "vocabulary.json").get("graph", ""))
    calibration = check_calibration(read_json(folder / "calibration.json"), folder / "calibration.json")
    weights = read_safetensors(folder / WEIGHTS)
    hashed = file_hash(folder / WEIGHTS)
    if not adapter:
        return Model(BASE, folder, weights, config, vocabulary, calibration, graph, hashed)
    place = find_adapter(adapter, workspace)
    about = read_adapter(place)
    if about.get("model", BASE) != BASE:
        raise _of_another_model(str(about.get("name", adapter)), str(about["model"]), place)
    for key, have, what in (("vocabulary", vocabulary.hash, "another vocabulary"), ("base", hashed, "another base")):
        if about.get(key) != have:
            raise UsageError(
                f"the adapter {about.get('name', adapter)!r} was trained on {what} than this model's",
                code="adapter-mismatch",
                file=place,
                hint="give the base it was made over: --base FOLDER; or train it again on this base: "
                "guqin train recognizer --config adapt --data CROPS --name NAME",
                expected=about.get(key),
                found=have,
            )
    tensors = read_safetensors(place / "adapter_model.safetensors")
    weights = merge(weights, tensors, read_json(place / "adapter_config.json"), place)
    name = str(about.get("name", adapter))
    calibration = about.get("calibration") or calibration
    return Model(name, folder, weights, config, vocabulary, calibration, graph, hashed, about)

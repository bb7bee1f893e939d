"""Where models and adapters lie, and whether an adapter fits the base.

The bundled base is ``models/recogniser``; bundled adapters are the folders of ``models/adapters``; a user's own lie in
``adapters`` of the workspace or of the per-user folder. An adapter is a peft folder with an ``adapter.json`` that
names the base's weights, the vocabulary and the graph it was trained with.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg import resources
from guqin_kg.errors import LimitError, MissingExtraError, NotFoundError, UsageError
from guqin_kg.recognise import adapter_folders
from guqin_kg.recognise.vocabulary import Vocabulary
from guqin_kg.recognise.weights import check_calibration, file_hash, merge, read_adapter, read_json, read_safetensors

BASE = "recogniser"
WEIGHTS = "model.safetensors"

_COPIED = ("config.json", "vocabulary.json", "prior.json", "automaton.npz")
"""What a merged model has of its base as it is; the rest of a base's folder belongs to its training."""


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


def merged(out: Path, adapter: str, base: Path | None = None, workspace: Path | None = None) -> Path:
    """Write the base with ``adapter`` added in as a model folder of its own; needs no torch.

    Args:
        out: the new folder; what is in it already is never overwritten.
        adapter: name or folder.
        base: model folder (default: the bundled one).
        workspace: where adapters are looked for first.

    Raises:
        UsageError: ``out`` holds something, or the adapter does not fit.
        MissingExtraError: the safetensors library is not installed.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file
    except ImportError:
        raise MissingExtraError("safetensors", "train") from None
    model = load(base, adapter, workspace)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already", hint="give a new folder with --out")
    part = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        part.mkdir(parents=True)
        for name in _COPIED:
            if (model.folder / name).is_file():
                shutil.copyfile(model.folder / name, part / name)
        save_file({k: np.ascontiguousarray(v.astype(np.float16)) for k, v in model.weights.items()}, part / WEIGHTS)
        trained = model.folder / "training.json"
        about = read_json(trained) if trained.is_file() else {}
        for name, content in (
            ("calibration.json", model.calibration),
            ("training.json", {**about, "merged_adapter": model.adapter, "merged_base": model.hash}),
        ):
            (part / name).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")
        (part / "README.md").write_text(_card(model), "utf-8")
        if out.is_dir():
            out.rmdir()
        part.rename(out)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        reason = getattr(error, "strerror", None) or str(error)
        raise LimitError(
            f"cannot write it: {reason}", file=out, code="no-space", hint="is there space, and may you write there?"
        ) from None
    return out


def _card(model: Model) -> str:
    """The card of a merged model: whose crops it has seen, and its base's own card."""
    about = model.adapter or {}
    lines = [
        f"# {model.name}",
        "",
        f"The recogniser `{model.folder.resolve().name}` with the adapter {model.name} added to its weights.",
        "",
        f"- Crops: {about.get('credit') or 'of the user'} ({about.get('crops', '?')} crops, "
        f"{about.get('readings', '?')} different readings)",
        f"- Adapter trained with: `{about.get('command', '?')}`",
        f"- Base: weights `{model.hash}`, vocabulary `{model.vocabulary.hash}`, graph `{model.graph}`",
    ]
    measures = about.get("measures")
    if isinstance(measures, dict) and measures:
        lines += ["", "Measured on pages left out of a training run of the adapter:", ""]
        lines += [f"- {key}: {value}" for key, value in measures.items()]
    card = model.folder / "README.md"
    if card.is_file():
        own = re.sub(r"^#", "##", card.read_text("utf-8", errors="replace"), flags=re.MULTILINE)
        lines += ["", "What the base says of itself:", "", own.strip()]
    return "\n".join(lines) + "\n"

"""Models written for others: an adapter added to its base as a model of its own, and networks as ONNX files.

Neither needs torch. What is written appears whole or not at all, and nothing that is there is overwritten.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from guqin_kg.errors import LimitError, MissingExtraError, UsageError
from guqin_kg.recognise import onnx_decoder, onnx_encoder
from guqin_kg.recognise.recogniser import network_of
from guqin_kg.recognise.shelf import WEIGHTS, Model, load
from guqin_kg.recognise.weights import read_json

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"

_COPIED = ("config.json", "vocabulary.json", "prior.json", "automaton.npz")
"""What a merged model has of its base as it is; the rest of a base's folder belongs to its training."""


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
        LimitError: it cannot be written.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file
    except ImportError:
        raise MissingExtraError("safetensors", "train") from None
    model = load(base, adapter, workspace)
    with _new_folder(out, SafetensorError) as part:
        for name in _COPIED:
            if (model.folder / name).is_file():
                shutil.copyfile(model.folder / name, part / name)
        save_file({name: _half(tensor) for name, tensor in model.weights.items()}, part / WEIGHTS)
        trained = model.folder / "training.json"
        about = read_json(trained) if trained.is_file() else {}
        _write_json(part / "calibration.json", model.calibration)
        _write_json(part / "training.json", {**about, "merged_adapter": model.adapter, "merged_base": model.hash})
        (part / "README.md").write_text(_card(model), "utf-8")
    return out


def networks(out: Path, adapter: str | None = None, base: Path | None = None, workspace: Path | None = None) -> Path:
    """Write the networks of a model as ONNX files, with what is needed to read their answers.

    ``encoder.onnx`` takes windows to features, ``decoder.onnx`` features and the tokens so far to the logits of the
    next ones (see :mod:`guqin_kg.recognise.onnx_encoder` and :mod:`guqin_kg.recognise.onnx_decoder`). Beside them lie
    ``config.json``, ``vocabulary.json``, ``calibration.json`` and the card. The rules of the graph are not in them:
    what other programs decode is well formed only as far as the network learnt it.

    Args:
        out: the new folder; what is in it already is never overwritten.
        adapter: name or folder of one to add in (default: none).
        base: model folder (default: the bundled one).
        workspace: where adapters are looked for first.

    Raises:
        UsageError: ``out`` holds something, or the adapter does not fit.
        MissingExtraError: the onnx library is not installed.
        LimitError: it cannot be written.
    """
    if find_spec("onnx") is None:
        raise MissingExtraError("onnx", "fast")
    model = load(base, adapter, workspace)
    network = network_of(model)[0]
    with _new_folder(out) as part:
        (part / ENCODER).write_bytes(onnx_encoder.model_of(network))
        (part / DECODER).write_bytes(onnx_decoder.model_of(network))
        for name in ("config.json", "vocabulary.json"):
            shutil.copyfile(model.folder / name, part / name)
        _write_json(part / "calibration.json", model.calibration)
        (part / "README.md").write_text(_HOW_TO_CALL + _card(model), "utf-8")
    return out


_HOW_TO_CALL = f"""# Networks as ONNX files

`{ENCODER}`: `pixels` (uint8, batch x height x width, ink bright, cut to the glyph) to `features`. `{DECODER}`:
`tokens` (int64, batch x length, the begin sign first) and the `features` of the same pictures, one for each row, to
`logits` of the token after each and `boxes` of each (x0, y0, x1, y1 in 0..1 of the window). `vocabulary.json` names the
tokens; the files are in single precision, without the graph's rules and without a sequence prior. What follows is the
card of the model.

"""


def _half(tensor: np.ndarray) -> np.ndarray:
    """Half precision; what counts stays a whole number, and a single number without an axis."""
    return np.asarray(tensor, np.float16 if tensor.dtype.kind == "f" else tensor.dtype, order="C")


@contextmanager
def _new_folder(out: Path, *errors: type[Exception]) -> Iterator[Path]:
    """A folder to write to, which becomes ``out`` at the end; ``errors`` are told as those of the disk are."""
    out = out.resolve()
    told: tuple[type[Exception], ...] = (OSError, *errors)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already", hint="give a new folder with --out")
    part = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        part.mkdir(parents=True)
        yield part
        if out.is_dir():
            out.rmdir()
        part.rename(out)
    except told as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LimitError(
            f"cannot write it: {reason}", file=out, code="no-space", hint="is there space, and may you write there?"
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _card(model: Model) -> str:
    """The card of a merged model: whose crops it has seen, and its base's own card; without an adapter, that alone."""
    card = model.folder / "README.md"
    of_base = card.read_text("utf-8", errors="replace") if card.is_file() else ""
    if model.adapter is None:
        return of_base
    about = model.adapter
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
    if of_base:
        own = re.sub(r"^#", "##", of_base, flags=re.MULTILINE)
        lines += ["", "What the base says of itself:", "", own.strip()]
    return "\n".join(lines) + "\n"

"""The card of a model folder: what it reads, what it was trained on, how it was made, what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from guqin_kg.errors import DataError
from guqin_kg.recognise import prior


def of_model(folder: Path, *, bundled: bool = False) -> str:
    """The card of a model folder, from its ``training.json``, weights and prior.

    Args:
        folder: the model folder, whole but for its card.
        bundled: whether it is the one that comes with the software, whose fonts and licence are known.
    """
    about: dict[str, Any] = json.loads((folder / "training.json").read_text("utf-8"))
    size = (folder / "model.safetensors").stat().st_size / 1e6
    drawn = about["drawn_validation"]
    measured = about.get("measures", {})
    if bundled:
        title = "# The bundled recogniser"
        fonts = (
            "fonts installed by name (LXGW WenKai, AR PL UKai and UMing, TW-Kai, HanaMin, Noto Serif, "
            "Yuji Boku, Mai and Syuku, Klee One, Iansui, Zen Antique, Dejima and Oradano Mincho, Kouzan Mouhitsu "
            "and its Gyosho, Aoyagi Kouzan and Soseki, Zhi Mang Xing, Liu Jian Mao Cao; OFL, Arphic, public domain "
            "and similar). No real image"
        )
    else:
        title = f"# Recogniser {folder.resolve().name}"
        fonts = "the fonts found where it was trained. No real image in this run"
    lines = [
        title,
        "",
        "Reads a picture of one jianzi as a sequence of base notations of the guqin-kg graph. Convolutions, "
        f"transformer encoder and decoder, {about['parameters'] / 1e6:.2f} million parameters, {size:.1f} MB "
        "(half precision safetensors).",
        "",
        "- Training data: drawn images only, made by the drawing engine of guqin-kg from the graph's own outlines and, "
        f"for 45 %, from {fonts}. Shapes and weights: `training/recogniser/shapes.yaml`.",
        *_made(about),
        f"- Graph: `{about['graph']}`.",
        f"- Drawn images never trained on: {drawn['validation_whole']:.1%} of readings whole, led along the truth.",
    ]
    lines += [f"- {key}: {value}" for key, value in measured.items()]
    if sources := _prior_sources(folder):
        lines.append(
            f"- Sequence prior (`prior.json`, used with `--sequence` alone): counts of {sources}; "
            "with it that book is read with knowledge of its own pages."
        )
    lines += ["- Licence: that of the software (Apache 2.0)."] if bundled else []
    lines += [
        "- Limits: one glyph a picture; handwriting in running hand; components that the graph gained later "
        "(`guqin train recognizer --config extend`). Probabilities are calibrated on drawn images; on a book without "
        "an adapter they may be too sure.",
    ]
    return "\n".join(lines) + "\n"


def _prior_sources(folder: Path) -> str:
    try:
        return ", ".join(prior.load(folder).sources)
    except DataError:  # none, or one that whoever uses it is told of
        return ""


def _made(about: dict[str, Any]) -> list[str]:
    """How it was made: a stage by the clock, or the mean of such stages."""
    if "averaged" in about:
        return [f"- Command: `{about['command']}`: {_mean(about['averaged'], about.get('shares'))}"]
    clock = about["config"].get("max_minutes")
    by_clock = f"; the run ends by the clock ({clock} minutes), so another machine sees another number of images"
    return [
        f"- Command: `{about['command']}`, seed {about['config']['seed']}{by_clock if clock else ''}.",
        f"- Ran for {about['minutes']} minutes: {about['steps']} steps, "
        f"{about['images_seen']} images." + _before(about.get("started_from")),
    ]


def _mean(stages: list[dict[str, Any]], shares: list[float] | None = None) -> str:
    """That it is the mean of ``stages``, and where the longest chain of them came from."""
    last = max(stages, key=lambda stage: len(json.dumps(stage)))
    alike = not shares or len(set(shares)) == 1
    parts = "" if alike else f" in parts of {', '.join(f'{share:g}' for share in shares or ())}"
    return (
        f"the mean of the weights of {len(stages)} stages{parts}, of which each later one went on from the one before."
        + _before(last)
    )


def _before(earlier: dict[str, Any] | None) -> str:
    """A stage and those before it, in a sentence each, the latest first."""
    if not earlier:
        return ""
    if "averaged" in earlier:
        return f" Before it: `{earlier.get('command')}`, {_mean(earlier['averaged'], earlier.get('shares'))}"
    return (
        f" Before it: `{earlier.get('command')}` (seed {earlier.get('seed')}), "
        f"{earlier.get('minutes')} minutes, {earlier.get('images_seen')} images." + _before(earlier.get("started_from"))
    )

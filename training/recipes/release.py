"""Bring the bundled model folder up to date with the graph: automaton, sequence prior, card.

::

    python -m training.recipes.release [--data LABELS]

Weights are never touched. With ``--data`` (crops with pages) the sequence prior is counted anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from guqin_kg import resources
from guqin_kg.notation.grammar import default_grammar
from guqin_kg.recognise import automata, shelf
from guqin_kg.recognise.words import Words
from training.recipes import prior


def refresh(folder: Path, data: Path | None = None, weight: float | None = None) -> list[str]:
    """Write what is derived from the graph (the prior: from ``data``) into a model folder; names what was written."""
    words = Words(default_grammar())
    model = shelf.load(folder)
    automata.save(
        folder / automata.NAME, words.automaton(model.vocabulary), automata.grammar_hash(words, model.vocabulary)
    )
    done = [automata.NAME]
    if data is not None:
        from training.recogniser.crops import read_crops

        counted = prior.count(read_crops(data, words, model.vocabulary).rows, words)
        counted.weight = weight if weight is not None else counted.weight
        counted.sources = ["the readings of 五声琴谱, pages 1-18 (labels of guqinMM, MIT)"]
        prior.write(counted, folder)
        done.append(prior.NAME)
    (folder / "README.md").write_text(card(folder), "utf-8")
    return [*done, "README.md"]


def card(folder: Path) -> str:
    """The model card, from ``training.json`` and ``calibration.json``."""
    about: dict[str, Any] = json.loads((folder / "training.json").read_text("utf-8"))
    size = (folder / "model.safetensors").stat().st_size / 1e6
    drawn = about["drawn_validation"]
    measured = about.get("measures", {})
    lines = [
        "# The bundled recogniser",
        "",
        "Reads a picture of one jianzi as a sequence of base notations of the guqin-kg graph. Convolutions, "
        f"transformer encoder and decoder, {about['parameters'] / 1e6:.2f} million parameters, {size:.1f} MB "
        "(half precision safetensors).",
        "",
        "- Training data: drawn images only, made by the drawing engine of guqin-kg from the graph's own outlines and, "
        "for 45 %, from fonts installed by name (LXGW WenKai, AR PL UKai and UMing, TW-Kai, HanaMin, "
        "Noto Serif, Yuji Boku and Syuku, Klee One, Zhi Mang Xing, Liu Jian Mao Cao; OFL, Arphic and similar). "
        "No real image. Shapes and weights: `training/recogniser/shapes.yaml`.",
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
    lines += [
        "- Licence: that of the software (Apache 2.0).",
        "- Limits: one glyph a picture; handwriting in running hand; components that the graph gained later "
        "(`guqin train recognizer --config extend`). Probabilities are calibrated on drawn images; on a book without "
        "an adapter they may be too sure.",
    ]
    return "\n".join(lines) + "\n"


def _prior_sources(folder: Path) -> str:
    path = folder / prior.NAME
    return ", ".join(json.loads(path.read_text("utf-8")).get("sources", ())) if path.is_file() else ""


def _made(about: dict[str, Any]) -> list[str]:
    """How it was made: a stage by the clock, or the mean of such stages."""
    if "averaged" in about:
        return [f"- Command: `{about['command']}`: {_mean(about['averaged'], about.get('shares'))}"]
    return [
        f"- Command: `{about['command']}`, seed {about['config']['seed']}; the run ends by the clock "
        f"({about['config']['max_minutes']} minutes), so another machine sees another number of images.",
        f"- Ran for {about['minutes']} minutes on two busy cores: {about['steps']} steps, "
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weight", type=float)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args(arguments)
    folder = args.folder or resources.folder("models") / shelf.BASE
    sys.stderr.write("written: " + ", ".join(refresh(folder, args.data, args.weight)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

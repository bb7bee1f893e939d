"""Average the weights of two or more stages of a base into one model, which reads pictures of other makes better.

::

    python -m training.recipes.average FIRST SECOND --weights 0.3 0.7 --out models/recogniser

Stages that were trained one from the other can be averaged weight by weight (Wortsman et al., Model soups, 2022).
Nothing is trained and no real picture is seen: temperature and threshold are fitted on drawn images, as at the end of
a stage.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from guqin_kg.errors import GuqinKGError, UsageError
from guqin_kg.inventory import load_inventory
from guqin_kg.notation.grammar import grammar_of
from guqin_kg.recognise.words import Words
from training import output
from training.config import load
from training.evaluate.calibrate import calibrate_drawn
from training.recipes.base import VALIDATION, save, started_from, teacher_forced
from training.recogniser import bundle
from training.recogniser.drawing import recipe_of
from training.recogniser.shards import Producer


@output.enough_memory()
def average(
    folders: Sequence[Path],
    out: Path,
    *,
    weights: Sequence[float] | None = None,
    images: int = 2048,
    seed: int = 5,
    other_characters: float | None = None,
) -> dict[str, Any]:
    """Write the mean of the models in ``folders`` to ``out``.

    Args:
        folders: model folders of one shape and one vocabulary.
        out: model folder.
        weights: how much each counts, above 0; only their proportions matter (None: all alike).
        images: drawn images on which temperature and threshold are fitted.
        seed: of these images; those of a stage with this seed.
        other_characters: share of them that is no jianzi (None: as ``further`` has it).

    Returns:
        The contents of ``training.json``.

    Raises:
        UsageError: fewer than two models, models that cannot be averaged, or not one weight above 0 for each.
        LimitError: no room on the disk, or not enough memory.
    """
    if len(folders) < 2:
        raise UsageError("one model has no average", hint="give the folders of two stages")
    shares = [1.0] * len(folders) if weights is None else list(weights)
    if len(shares) != len(folders) or not all(0 < share < float("inf") for share in shares):
        raise UsageError(
            f"{len(shares)} weights for {len(folders)} models: {shares}", hint="one number above 0 for each folder"
        )
    shares = [share / sum(shares) for share in shares]
    models = [bundle.read(folder) for folder in folders]
    model, vocabulary = models[0]
    shapes = [{k: (tuple(v.shape), v.dtype) for k, v in m.state_dict().items()} for m, _ in models]
    for folder, shape, (_, words_known) in zip(folders, shapes, models, strict=True):
        if words_known.ids != vocabulary.ids or shape != shapes[0]:
            raise UsageError(
                "this model has another vocabulary or shape than the first",
                file=folder,
                hint="only stages trained one from the other can be averaged",
            )
    states = [m.state_dict() for m, _ in models]
    mean = {
        name: sum(share * s[name] for share, s in zip(shares, states, strict=True))
        if first.is_floating_point()
        else states[-1][name]
        for name, first in states[0].items()
    }
    model.load_state_dict(mean)
    model.eval()
    inventory = load_inventory()
    words = Words(grammar_of(inventory))
    settings = model.config
    recipe = recipe_of(load("further"), vocabulary, settings)
    if other_characters is not None:
        recipe = replace(recipe, other_share=other_characters)
    with TemporaryDirectory(prefix="guqin-average-") as work:
        drawn = Producer(recipe, Path(work), 1, seed + VALIDATION, images, settings.max_tokens, 0).get(0)
    about = {
        "recipe": "average",
        "command": f"python -m training.recipes.average {' '.join(f.name for f in folders)}"
        + (f" --weights {' '.join(map(str, weights))}" if weights is not None else "")
        + f" --out {out.name}",
        "config": {"seed": seed, "images": images},
        "averaged": [started_from(folder) for folder in folders],
        "shares": [round(share, 4) for share in shares],
        "graph": inventory.content_hash,
        "parameters": sum(p.numel() for p in model.parameters()),
        "torch": torch.__version__,
        "finished": time.strftime("%Y-%m-%d", time.gmtime()),
        "drawn_validation": teacher_forced(drawn)(model, 0),
    }
    with output.only_run(out):
        save(out, model, words, vocabulary, calibrate_drawn(model, vocabulary, words, drawn), about, folders)
    return about


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="+", type=Path, help="model folders")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", nargs="+", type=float, help="how much each counts; only proportions matter")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--images", type=int, default=2048)
    given = parser.parse_args(arguments)
    try:
        about = average(given.stages, given.out, weights=given.weights, images=given.images, seed=given.seed)
    except GuqinKGError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    sys.stdout.write(f"{given.out}: {about['drawn_validation']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

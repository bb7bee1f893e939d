"""Adapt the base to a book, a hand or a style with LoRA from labelled crops.

A third of each batch stays drawn, so that what the crops do not show is not forgotten. The result is a folder with the
peft adapter and ``adapter.json``, which names the base, the vocabulary and the graph it belongs to.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from guqin_kg.errors import NotFoundError
from guqin_kg.inventory import load_inventory
from guqin_kg.notation.grammar import grammar_of
from guqin_kg.recognise.vocabulary import Vocabulary
from guqin_kg.recognise.weights import file_hash, read_json
from guqin_kg.recognise.words import Words
from training import lora as lora_of
from training import output
from training.config import Lora, RecogniserTraining
from training.recogniser import bundle, loop
from training.recogniser.crops import read_crops, to_shard
from training.recogniser.shards import Producer, Shard, join

PRIOR_WEIGHT = 0.1
"""Weight of the sequence prior over an adapter. At the base's 0.3 neighbours mislead it: of the crops of test pages
0.953 are right without them, 0.940 at 0.3, 0.955 at 0.1 (docs/experiments.md)."""


def run(
    config: RecogniserTraining,
    base: Path,
    data: Path,
    name: str,
    out: Path,
    *,
    cache: Path | None = None,
    extra: tuple[Path, ...] = (),
    credit: str = "",
    calibration: dict[str, Any] | None = None,
    quiet: bool = False,
    command: str = "",
) -> dict[str, Any]:
    """Train adapter ``name`` on the crops of ``data`` and write it to the folder ``out``.

    Checkpoints lie beside ``out`` until it is written: the same call goes on from those of a killed one.

    Args:
        config: a configuration with ``recipe: adapt``.
        base: model folder.
        data: JSON lines with ``file`` and ``reading``.
        name: name of the adapter.
        out: its folder.
        cache: where drawn images are kept between runs.
        extra: Turtle files of a workspace.
        credit: source and licence of the crops, for the card.
        calibration: temperature found beforehand on held-out pages; else the base's is kept.
        quiet: no progress on standard error.
        command: what was typed, for the card.

    Returns:
        The contents of ``adapter.json``.

    Raises:
        UsageError: ``out`` holds something else than an adapter, or ``lora.target_modules`` fits no layer.
        LimitError: no room on the disk, or not enough memory.
    """
    inventory = load_inventory(extra)
    words = Words(grammar_of(inventory))
    with output.only_run(out, beside=True):
        model, vocabulary = bundle.read(base)
        lora_of.targets_of(model, (config.lora or Lora()).target_modules)  # refused before anything is drawn
        crops = read_crops(data, words, vocabulary)
        real = to_shard(crops, vocabulary, model.config.height, model.config.width, model.config.max_tokens)
        if not quiet and crops.skipped:
            _say(crops.left_out())
        drawn = drawn_images(config, model, vocabulary, cache, extra, graph=inventory.content_hash, quiet=quiet)
        origin = {"started_from": file_hash(base / "model.safetensors"), "graph": inventory.content_hash}
        arrays = [array for shard in (real, drawn) if shard for array in (shard.images, shard.tokens, shard.boxes)]
        with output.unfinished(out, loop.settings_of(config, origin), *arrays) as work:
            adapted, members = fit_adapter(model, config, real, drawn, work, quiet=quiet)
            about = {
                **lora_of.facts(name, inventory.content_hash, crops, credit, command, config),
                "base": origin["started_from"],
                "vocabulary": vocabulary.hash,
                "steps": members[-1].step,
                "minutes": round(sum(member.elapsed for member in members) / 60, 1),
                "calibration": {"prior_weight": PRIOR_WEIGHT} | (calibration or read_json(base / "calibration.json")),
            }
            save(adapted, out, about)
    return about


def drawn_images(
    config: RecogniserTraining,
    model: bundle.Recogniser,
    vocabulary: Vocabulary,
    cache: Path | None,
    extra: tuple[Path, ...],
    *,
    graph: str,
    quiet: bool = False,
) -> Shard | None:
    """The drawn images that are mixed in; None when the share is 0.

    They are kept in ``cache`` for the next run that draws the same: same vocabulary, window, shares, graph (its hash is
    ``graph``), fonts, drawing code, seed and shards.
    """
    from training.recogniser.drawing import recipe_of, surroundings

    if not config.drawn_share:
        return None
    settings = model.config
    recipe = recipe_of(config, vocabulary, model.config, extra)
    try:
        from training.recogniser.others import fonts

        if config.other_characters and not fonts():
            raise NotFoundError("no Chinese font")
    except NotFoundError:
        recipe = replace(recipe, other_share=0.0)
        if not quiet:
            _say("no font with Chinese characters here: drawn images show jianzi only (apt install fonts-arphic-ukai)")
    with tempfile.TemporaryDirectory(prefix="guqin-drawn-") as work:
        seed = config.seed + 5
        root = (cache or Path(work)) / f"drawn-{recipe.key(graph, seed, config.shard, surroundings())}"
        count = max(1, config.drawn_images // config.shard)
        producer = Producer(recipe, root, count, seed, config.shard, settings.max_tokens, config.drawn_workers)
        try:
            return join([producer.get(number) for number in range(count)])
        finally:
            producer.close()


def fit_adapter(
    model: bundle.Recogniser,
    config: RecogniserTraining,
    real: Shard,
    drawn: Shard | None,
    work: Path,
    *,
    quiet: bool = False,
) -> tuple[Any, list[loop.Run]]:
    """Wrap ``model`` with LoRA and train it on real and drawn images.

    Of several members each has a seed of its own, and the peft model has their mean. What ``work`` holds of an earlier
    call with the same arguments is gone on from.

    Returns:
        The peft model with the averaged weights, and the run of each member.
    """
    from peft import LoraConfig

    lora = config.lora or Lora()
    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora_of.targets_of(model, lora.target_modules),
    )
    names = [f"member-{number}" for number in range(1, config.members + 1)] if config.members > 1 else ["default"]
    runs = []
    torch.manual_seed(config.seed)
    adapted = lora_of.wrapped(model, settings, names[0])
    for number, name in enumerate(names):
        member = config.model_copy(update={"seed": config.seed + number})
        if number:
            torch.manual_seed(member.seed)
            lora_of.laid_beside(adapted, name, settings)
        if len(names) > 1 and not quiet:
            _say(f"adapter {number + 1} of {len(names)}")
        batches = _Batches(member, real, drawn)
        runs.append(loop.train(adapted, member, batches, work / name, quiet=quiet, freeze_norms=True))
    if len(names) > 1:
        lora_of.mean(adapted, names)
    return adapted, runs


class _Batches:
    """Step to its batch of crops and drawn images, and which of them are drawn."""

    def __init__(self, config: RecogniserTraining, real: Shard, drawn: Shard | None) -> None:
        self.seed, self.real, self.drawn = config.seed, real, drawn
        self.count = round(config.batch * config.drawn_share) if drawn is not None else 0
        self.wanted = config.batch - self.count

    def __call__(self, step: int) -> tuple[Shard, Tensor | None]:
        rng = np.random.default_rng([self.seed, step, 3])
        # each crop once before any comes again: the epoch's order is fixed by the seed
        index = []
        for position in range(step * self.wanted, (step + 1) * self.wanted):
            epoch, at = divmod(position, len(self.real))
            index.append(_order(self.seed, epoch, len(self.real))[at])
        parts = [self.real.take(np.array(index))]
        if self.drawn is not None and self.count:
            parts.append(self.drawn.take(rng.integers(0, len(self.drawn), self.count)))
        return join(parts), torch.cat([torch.zeros(self.wanted), torch.ones(self.count)])


_orders: dict[tuple[int, int, int], np.ndarray] = {}


def _order(seed: int, epoch: int, size: int) -> np.ndarray:
    key = (seed, epoch, size)
    if key not in _orders:
        if len(_orders) > 8:
            _orders.clear()
        _orders[key] = np.random.default_rng([seed, epoch, 4]).permutation(size)
    return _orders[key]


def save(adapted: Any, out: Path, about: dict[str, Any]) -> None:
    """Write the adapter, all or nothing: peft's files in half precision, ``adapter.json`` and the card."""
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.half()
    with output.replaced(out) as part:
        lora_of.save(adapted, part, "guqin-kg/recogniser")
        (part / "adapter.json").write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", "utf-8")
        (part / "README.md").write_text(_card(about), "utf-8")


def _card(about: dict[str, Any]) -> str:
    lines = [
        f"# Adapter {about['name']}",
        "",
        f"LoRA adapter of the guqin-kg recogniser, trained on {about['crops']} labelled crops "
        f"({about['readings']} different readings).",
        "",
        f"- Crops: {about['credit'] or 'of the user'}",
        f"- Use: `guqin recognize --adapter {about['name']} IMAGE …`",
        f"- Trained with: `{about['command']}`, seed {about['config']['seed']}, {about['steps']} steps{_mean(about)}, "
        f"{about['minutes']} minutes on one core",
        f"- Fits only the base with weights hash `{about['base']}` and vocabulary `{about['vocabulary']}`; "
        f"graph `{about['graph']}`",
    ]
    if about.get("measures"):
        lines += ["", "Measured on pages left out of a training run of the same configuration:", ""]
        lines += [f"- {key}: {value}" for key, value in about["measures"].items()]
    return "\n".join(lines) + "\n"


def _mean(about: dict[str, Any]) -> str:
    members = about["config"].get("members", 1)
    return f" each for the {members} adapters whose mean this is" if members > 1 else ""


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")

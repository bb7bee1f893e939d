"""Train the base recogniser from nothing but drawn images.

Background processes draw shards, this one learns from them. The result is a model folder that
``guqin recognize --base DIR`` and ``from_pretrained(DIR)`` read. Killed at any point, the same command goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from guqin_kg.inventory import load_inventory
from guqin_kg.notation.grammar import grammar_of
from guqin_kg.recognise import automata, prior
from guqin_kg.recognise.vocabulary import Vocabulary
from guqin_kg.recognise.weights import file_hash, read_json
from guqin_kg.recognise.words import Words
from training import output, precision
from training.config import RecogniserTraining
from training.recogniser import bundle, card, loop
from training.recogniser.shards import Blocks, Producer, Shard

if TYPE_CHECKING:
    from training.recogniser.model import Recogniser

VALIDATION = 10_000_000
"""Added to the seed for drawn images that are never trained on."""


_STAGE = ("steps", "images_seen", "minutes", "started_from", "averaged", "shares")
"""What a later model tells of the one it goes on from."""


def vocabulary_of(words: Words) -> Vocabulary:
    """All base notations of the graph that can be written in a reading and have a form to draw."""
    return Vocabulary.of(b for b in words.bases() if words.inventory.by_id[b].forms)


def run(
    config: RecogniserTraining,
    out: Path,
    *,
    base: Path | None = None,
    cache: Path | None = None,
    extra: tuple[Path, ...] = (),
    quiet: bool = False,
    command: str = "",
) -> dict[str, Any]:
    """Train, calibrate and write the model folder ``out``.

    Args:
        config: a configuration with ``recipe: base``.
        out: model folder; its ``run`` folder keeps log and checkpoint.
        base: start from this model; words it lacks are added (how a new component is taught).
        cache: where the drawn shards lie (default: ``out/run/shards``).
        extra: Turtle files of a workspace, beside the released graph.
        quiet: no progress on standard error.
        command: what was typed, for the card.

    Returns:
        The contents of ``training.json``.

    Raises:
        UsageError: the folder holds a run of another configuration, graph or vocabulary.
        LimitError: no room on the disk, or not enough memory.
    """
    with output.only_run(out):
        return _run(config, out, base, cache, extra, quiet, command)


def _run(
    config: RecogniserTraining,
    out: Path,
    base: Path | None,
    cache: Path | None,
    extra: tuple[Path, ...],
    quiet: bool,
    command: str,
) -> dict[str, Any]:
    from training.recogniser.drawing import recipe_of, surroundings

    inventory = load_inventory(extra)
    words = Words(grammar_of(inventory))
    vocabulary = vocabulary_of(words)
    shape = config.architecture
    before: dict[str, Any] | None = None
    if base is None:
        model = bundle.build(shape, vocabulary, config.seed)
    else:
        known_model, known = bundle.read(base)
        before = started_from(base)
        model = bundle.grown(known_model, known, vocabulary, config.seed)
    weights = before["weights"] if before else None
    origin = {"started_from": weights, "graph": inventory.content_hash, "vocabulary": vocabulary.hash}
    loop.refuse_other(out / "run" / "checkpoint", loop.settings_of(config, origin))
    settings = model.config
    recipe = recipe_of(config, vocabulary, settings, extra)
    shards = cache or out / "run" / "shards"
    count = max(1, config.drawn_images // config.shard)
    # of a run that ended before its first checkpoint nothing but its shards tells what it was
    keys = [
        recipe.key(inventory.content_hash, seed, size, surroundings())
        for seed, size in ((config.seed, config.shard), (config.seed + VALIDATION, config.validation_images))
    ]
    producer = Producer(
        recipe, shards / f"train-{keys[0]}", count, config.seed, config.shard, settings.max_tokens, config.drawn_workers
    )
    try:
        blocks = Blocks(producer, config.seed, config.batch, config.passes)
        held = Producer(
            recipe, shards / f"validation-{keys[1]}", 1, config.seed + VALIDATION, config.validation_images,
            settings.max_tokens, 0,
        )  # fmt: skip
        validation = held.get(0)
        started = time.time()
        finished = loop.train(
            model,
            config,
            lambda step: (blocks(step), None),
            out / "run",
            evaluate=teacher_forced(validation),
            quiet=quiet,
            origin=origin,
        )
    finally:
        producer.close()
    from training.evaluate.calibrate import calibrate_drawn

    calibration = calibrate_drawn(model, vocabulary, words, validation)
    about = {
        "recipe": "base",
        "command": command,
        "config": config.model_dump(mode="json"),
        "started_from": before,
        "graph": inventory.content_hash,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": finished.step,
        "images_seen": finished.step * config.batch,
        "minutes": round(finished.elapsed / 60, 1),
        "waited_for_drawing_minutes": round(producer.waited / 60, 1),
        "torch": torch.__version__,
        "finished": time.strftime("%Y-%m-%d", time.gmtime(started + finished.elapsed)),
        "drawn_validation": teacher_forced(validation)(model, finished.step),
    }
    save(out, model, words, vocabulary, calibration, about, [base] if base else [])
    return about


def save(
    out: Path,
    model: Recogniser,
    words: Words,
    vocabulary: Vocabulary,
    calibration: dict[str, Any],
    about: dict[str, Any],
    stages: Sequence[Path],
) -> None:
    """Write a model folder with all that belongs to it: automaton, card, and the sequence prior of where it came from.

    Args:
        out: the folder.
        model: the network.
        words: of the graph.
        vocabulary: what the network reads.
        calibration: temperature and threshold.
        about: ``training.json``.
        stages: model folders it came from; of several priors the last one's is taken.

    Raises:
        LimitError: it cannot be written.
    """
    ours = (out / "training.json").is_file() or not (out / "README.md").exists()  # else somebody else's words
    with output.writing(out, "write the model"):
        bundle.write(out, model, vocabulary, words.inventory.content_hash, calibration, about)
        automata.save(out / automata.NAME, words.automaton(vocabulary), automata.grammar_hash(words, vocabulary))
        # counts are of readings: a model that knows more words reads with them as well
        counted = [stage / prior.NAME for stage in stages if (stage / prior.NAME).is_file()]
        if counted:
            (out / prior.NAME).write_bytes(counted[-1].read_bytes())
        if ours:
            (out / "README.md").write_text(card.of_model(out), "utf-8")


def started_from(base: Path) -> dict[str, Any]:
    """What a later stage keeps of the model it goes on from: hash of the weights, command, seed, images, minutes."""
    about: dict[str, Any] = {}
    if (base / "training.json").is_file():
        about = read_json(base / "training.json")
    out = {"weights": file_hash(base / "model.safetensors"), "seed": about.get("config", {}).get("seed")}
    return out | {k: about[k] for k in ("command", *_STAGE) if k in about}


def teacher_forced(shard: Shard, batch: int = 128) -> Callable[[nn.Module, int], dict[str, Any]]:
    """A quick measure on drawn images: loss of a token, share of whole readings right when led along the truth."""

    def evaluate(model: nn.Module, step: int) -> dict[str, Any]:
        loss, right, count, tokens_seen = 0.0, 0, 0, 0
        for at in range(0, len(shard), batch):
            pixels, tokens, _ = loop.tensors(shard.take(np.arange(at, min(at + batch, len(shard)))))
            with torch.no_grad(), precision.autocast(None):
                logits = model(pixels=pixels, tokens=tokens[:, :-1]).logits.float()
            labels = torch.where(tokens[:, 1:] > 0, tokens[:, 1:], -100)
            known = labels != -100
            loss += float(nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum"))
            right += int(((logits.argmax(-1) == labels) | ~known).all(1).sum())
            count += len(labels)
            tokens_seen += int(known.sum())
        return {"validation_loss": round(loss / tokens_seen, 4), "validation_whole": round(right / count, 4)}

    return evaluate

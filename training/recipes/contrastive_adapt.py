"""Adapt the image tower of a contrastive model to a book with LoRA, from labelled crops.

The text tower rests, so its vectors are worked out once and every crop is told apart from thousands of readings: those
of the other crops, readings that differ from one of them in one word, and readings of the whole grammar. A third of
each batch stays drawn. No picture and no reading of pages that are left out is looked at.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from guqin_kg.errors import UsageError
from guqin_kg.inventory import load_inventory
from guqin_kg.notation.grammar import grammar_of
from guqin_kg.recognise.towers import trunk_hash
from guqin_kg.recognise.vocabulary import Vocabulary
from guqin_kg.recognise.weights import read_safetensors
from guqin_kg.recognise.words import Words
from training import lora, output
from training.contrastive import data as items_of
from training.contrastive import run
from training.contrastive.config import ContrastiveTraining
from training.contrastive.model import Towers
from training.recogniser.augment import augment
from training.recogniser.crops import Crops, read_crops, to_shard

_LONGEST = 24


def crops_of(path: Path, words: Words) -> Crops:
    """The labelled crops of a JSON lines file whose readings the graph knows."""
    return read_crops(path, words, Vocabulary.of(words.bases()))


def adapt(
    config: ContrastiveTraining,
    crops: Crops,
    name: str,
    out: Path,
    *,
    cache: Path,
    extra: tuple[Path, ...] = (),
    credit: str = "",
    command: str = "",
    measures: dict[str, Any] | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train adapter ``name`` on ``crops`` and write it to the folder ``out``.

    Checkpoints lie beside ``out`` until it is written: the same call goes on from those of a killed one.

    Args:
        config: a configuration with ``recipe: adapt``.
        crops: labelled crops (see :func:`crops_of`).
        name: of the adapter.
        out: its folder.
        cache: where drawn images are kept between runs.
        extra: Turtle files of a workspace.
        credit: source and licence of the crops, for the card.
        command: what was typed, for the card.
        measures: figures found with a twin on pages left out, for the card.
        quiet: no progress.

    Returns:
        The contents of ``adapter.json``.

    Raises:
        UsageError: the base is not one trained here.
    """
    base = Path(run.bundled_or(config.base, "contrastive") or "")
    if not run.is_ours(base):
        raise UsageError(
            "only towers trained here are adapted to books", hint="--base FOLDER of `guqin train contrastive`"
        )
    inventory = load_inventory(extra)
    words = Words(grammar_of(inventory))
    with output.only_run(out, beside=True):
        batches = _Batches(config, run.read(base), crops, words, cache, quiet)
        model = run.build(config, batches.items)
        trunk = trunk_hash(read_safetensors(base / "model.safetensors"))
        settings = config.model_dump(mode="json") | {"base": trunk, "graph": inventory.content_hash}
        with output.unfinished(out, settings, *batches.arrays()) as work:
            trained = run.train(model, batches.items, config, work, quiet=quiet, batches=batches)
            about = {
                **lora.facts(name, inventory.content_hash, crops, credit, command, config),
                "model": "contrastive",
                "base": trunk,
                "steps": trained.step,
                "loss": trained.loss,
                "minutes": trained.minutes,
                "measures": measures or {},
            }
            _save(model, out, about)
    return about


class _Batches:
    """Crops and drawn images, with the vectors of their texts and of the bank."""

    def __init__(
        self, config: ContrastiveTraining, towers: Towers, crops: Crops, words: Words, cache: Path, quiet: bool
    ) -> None:
        self.config = config
        self.per_epoch = max(1, len(crops.rows) // config.batch)
        self.processes = 1
        shape = (towers.config.height, towers.config.width)
        shard = to_shard(crops, Vocabulary.of(words.bases()), *shape, _LONGEST)
        self.items = items_of.sampled(config, cache, quiet, words.grammar)
        self.real = shard.images
        rng = np.random.default_rng([config.seed, 11])
        texts = dict.fromkeys(row.reading for row in crops.rows)
        self.classes = {text: at for at, text in enumerate(texts)}
        near = one_word_off(words, sorted({row.bases for row in crops.rows}), rng, config.bank)
        for text in [*near, *self.items.texts]:
            self.classes.setdefault(text, len(self.classes))
        self.real_labels = np.array([self.classes[row.reading] for row in crops.rows])
        drawn = np.array([self.classes[text] for text in self.items.texts])
        self.drawn_labels = drawn[self.items.labels]
        every = list(self.classes)
        with torch.no_grad():
            parts = [
                towers.eval()(text=towers.text_tensor(every[i : i + 512]))["text"] for i in range(0, len(every), 512)
            ]
        self.vectors = torch.cat(parts)

    def arrays(self) -> list[np.ndarray]:
        """All that the run learns from."""
        return [self.real, self.real_labels, self.items.images, self.drawn_labels, self.vectors.numpy()]

    def __call__(self, step: int) -> tuple[dict[str, Any], Tensor, Tensor | None]:
        """Pixels, vectors of their texts, and the whole bank."""
        config = self.config
        rng = np.random.default_rng([config.seed, step, 3])
        count = round(config.batch * config.drawn_share)
        wanted = config.batch - count
        chosen = []
        for position in range(step * wanted, (step + 1) * wanted):
            epoch, at = divmod(position, len(self.real))
            chosen.append(int(np.random.default_rng([config.seed, epoch, 4]).permutation(len(self.real))[at]))
        drawn = rng.integers(0, len(self.items.images), count)
        images = np.concatenate([self.real[chosen], self.items.images[drawn]])
        labels = torch.from_numpy(np.concatenate([self.real_labels[chosen], self.drawn_labels[drawn]]))
        pixels = torch.from_numpy(images).float().div_(255).unsqueeze(1)
        if config.augment:
            generator = torch.Generator().manual_seed((config.seed << 32) + step)
            pixels = augment(pixels, torch.zeros(len(pixels), 0, 4), generator)[0]
        inputs = {
            "image": pixels.contiguous(memory_format=torch.channels_last),
            "text_vectors": self.vectors[labels],
            "negative_vectors": self.vectors,
        }
        return inputs, labels, torch.arange(len(self.vectors))


def one_word_off(words: Words, sequences: Sequence[tuple[str, ...]], rng: np.random.Generator, most: int) -> list[str]:
    """Up to ``most`` readings that differ from one of ``sequences`` in one word of the same grammar role."""
    by_role: dict[str, list[str]] = {}
    for base in sorted(words.bases()):
        for role in words.inventory.by_id[base].roles:
            by_role.setdefault(role, []).append(base)
    found: dict[str, None] = {}
    for _ in range(most * 4):
        if len(found) >= most:
            break
        sequence = sequences[int(rng.integers(len(sequences)))]
        place = int(rng.integers(len(sequence)))
        roles = sorted(words.inventory.by_id[sequence[place]].roles)
        others = by_role[roles[int(rng.integers(len(roles)))]] if roles else []
        if not others:
            continue
        other = others[int(rng.integers(len(others)))]
        read = words.decode((*sequence[:place], other, *sequence[place + 1 :]))
        if read is not None and other != sequence[place]:
            found.setdefault(read.reading)
    return list(found)


def _save(model: Any, out: Path, about: dict[str, Any]) -> None:
    """peft's files in half precision, ``adapter.json`` and the card, all or nothing."""
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.half()
    lines = [
        f"# Contrastive adapter {about['name']}",
        "",
        f"LoRA adapter of the image tower of guqin-kg's contrastive model, trained on {about['crops']} labelled crops "
        f"({about['readings']} different readings). Text and audio towers are untouched.",
        "",
        f"- Crops: {about['credit'] or 'of the user'}",
        f"- Use: `guqin similar --image FILE --adapter {about['name']}`",
        f"- Trained with: `{about['command']}`, seed {about['config']['seed']}, {about['steps']} steps",
        f"- Fits only the model whose image and text towers have the hash `{about['base']}`; graph `{about['graph']}`",
    ]
    if about["measures"]:
        lines += ["", "Measured with a twin of the same configuration on pages it has not seen:", ""]
        lines += [f"- {key}: {value}" for key, value in about["measures"].items()]
    with output.replaced(out) as part:
        lora.save(model, part, "guqin-kg/contrastive")  # no folder of this machine
        (part / "adapter.json").write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", "utf-8")
        (part / "README.md").write_text("\n".join(lines) + "\n", "utf-8")


def say_skipped(crops: Crops) -> None:
    """Name the rows that were left out, on standard error."""
    if crops.skipped:
        sys.stderr.write(crops.left_out() + "\n")

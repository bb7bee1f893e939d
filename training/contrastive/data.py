"""Items of the contrastive experiments: notations × drawn images, one text and, where asked, one sound each.

Pictures are drawn once into ``images.npy`` (uint8, ink 255) in chunks of their own files, so that a killed run goes
on where it was; the split is by image, as published, or by notation.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from guqin_kg.errors import DataError, LimitError, NotFoundError
from guqin_kg.model import Notation
from guqin_kg.notation.grammar import Grammar, default_grammar
from guqin_kg.notation.lexicon import PUBLISHED_SIZE
from guqin_kg.recognise.images import fit
from training.contrastive.config import ContrastiveTraining, Towers

if TYPE_CHECKING:
    from guqin_kg.draw import Engine

Array = np.ndarray
_CHUNK = 512
_SIZE = 72
_LONGEST = 24
"""Words of the longest notation drawn, begin and end included (that of the recogniser)."""
_MIXED = {"print": 0.4, "photo": 0.15, "handwritten": 0.25, "clean": 0.2}


@dataclass(frozen=True)
class Items:
    """The data of one run.

    Attributes:
        texts: reading of each class.
        images: ``(n, height, width)`` uint8, ink 255.
        labels: class of each image.
        train: indices of training images; held: of held-out ones.
        audio: ``(classes, frames, bands)`` float32, or None.
        near: ``(classes, k)`` classes whose readings differ in one word, -1 where there are no more; or None.
        cache: folder for what is worked out from these items.
        graph: content hash of the graph they are of.
    """

    texts: tuple[str, ...]
    images: Array
    labels: Array
    train: Array
    held: Array
    audio: Array | None = None
    near: Array | None = None
    cache: Path | None = None
    graph: str = ""


def graph_of(grammar: Grammar) -> str:
    """Content hash of the whole graph that a grammar is of (the default one is read without compound notations)."""
    from guqin_kg.inventory import load_inventory

    return load_inventory().content_hash if grammar is default_grammar() else grammar.inventory.content_hash


def origin_of(items: Items, alphabet: Sequence[str] | None = None) -> dict[str, str | None]:
    """What a run comes from besides its configuration, for its checkpoints: ``graph``, ``readings``, ``alphabet``.

    Args:
        items: data of the run; the readings count as a hash.
        alphabet: characters that the text tower knows, which count as a hash, or None.
    """

    def digest(texts: Sequence[str]) -> str:
        return hashlib.blake2b("\n".join(texts).encode(), digest_size=8).hexdigest()

    alphabet_hash = None if alphabet is None else digest(alphabet)
    return {"graph": items.graph, "readings": digest(items.texts), "alphabet": alphabet_hash}


def readings(config: ContrastiveTraining, names: Path | None = None, grammar: Grammar | None = None) -> list[str]:
    """The readings of the run: those of a list (see ``read_list``), each once, or some of the lexicon.

    Raises:
        NotFoundError: ``names`` is asked for and no file is given.
        DataError: a list that cannot be read, or is empty.
    """
    from guqin_kg.notation.listing import read_list

    if names is not None:
        return list(dict.fromkeys(read_list(names)))
    if config.notations == "names":
        raise NotFoundError("this configuration wants a file of readings", hint="give --names FILE, one reading a line")
    return spread(
        int(config.notations), config.seed, grammar or default_grammar(), sounding="audio" in config.modalities
    )


def spread(count: int, seed: int, grammar: Grammar, sounding: bool = False) -> list[str]:
    """``count`` drawable readings spread over the published lexicon, in its order; only ``sounding`` ones if asked."""
    from guqin_kg.notation.components import parts
    from guqin_kg.notation.format import short_reading
    from guqin_kg.notation.lexicon import published
    from guqin_kg.recognise.hear import sounds_alone

    every = list(islice(published(grammar), PUBLISHED_SIZE))
    chosen: list[int] = []
    for at in np.random.default_rng(seed).permutation(len(every)):
        if len(chosen) == count:
            break
        notation = every[int(at)]
        if not all(base.forms for part in parts(notation, grammar) for base in part.bases):
            continue
        if not sounding or sounds_alone(short_reading(notation, grammar), grammar):
            chosen.append(int(at))
    return [short_reading(every[at], grammar) for at in sorted(chosen)]


def draw_image(
    notation: Notation, preset: str, seed: int, height: int, width: int, engine: Engine | None = None
) -> Array:
    """One drawn picture in the window, uint8 ``(height, width)``, ink 255; ``engine`` is that of another graph."""
    from guqin_kg.draw import draw_spec, sample_spec

    rng = np.random.default_rng(seed)
    if preset == "mixed":
        preset = str(rng.choice(list(_MIXED), p=list(_MIXED.values())))
    spec = sample_spec(notation, preset, int(rng.integers(2**62)), size=_SIZE, frame="crop", engine=engine)
    return fit(draw_spec(spec, engine).pixels, height, width).pixels


def sound_frames(reading: str, towers: Towers, grammar: Grammar | None = None) -> Array:
    """Frames ``(frames, bands)`` of what the reading sounds (see :mod:`guqin_kg.recognise.hear`)."""
    from guqin_kg.recognise.hear import played, spectrum

    samples, rate = played(reading, grammar or default_grammar())
    return spectrum(samples, towers.frames, towers.bands, rate)


def prepare(
    config: ContrastiveTraining,
    cache: Path,
    names: Path | None = None,
    quiet: bool = False,
    grammar: Grammar | None = None,
) -> Items:
    """Draw (or take from ``cache``) the data of a run.

    Args:
        config: the run.
        cache: where it is kept, by what is drawn, with what, and the content hash of the graph.
        names: list of readings, for configurations that want one.
        quiet: no progress.
        grammar: of the graph whose signs are drawn (default: the released one).

    Raises:
        ReadingError: a name that cannot be parsed.
        DataError: fewer than two readings.
        LimitError: no space; what was drawn is kept.
    """
    from guqin_kg.draw.engine import Engine, default_engine
    from guqin_kg.notation.parse import parse
    from training.recogniser.drawing import surroundings

    grammar = grammar or default_grammar()
    if config.source == "sampled":
        return sampled(config, cache, quiet, grammar)
    texts = readings(config, names, grammar)
    if "audio" in config.modalities and names is not None:
        texts = _sounding(texts, grammar, quiet)
    if len(texts) < 2:
        raise DataError(f"there is nothing to tell {texts[0]} apart from", hint="give at least two readings")
    notations = [parse(text, grammar) for text in texts]
    shape = (config.towers.height, config.towers.width)
    how = [config.images_each, config.preset, config.seed, shape, _SIZE, _MIXED]
    key = json.dumps([texts, how, grammar.inventory.content_hash, surroundings()])
    folder = cache / ("contrastive-" + hashlib.blake2b(key.encode(), digest_size=8).hexdigest())
    labels = np.repeat(np.arange(len(texts)), config.images_each)
    engine = default_engine() if grammar is default_grammar() else Engine(grammar)
    images = _drawn(folder, notations, labels, config, engine, quiet)
    audio = None
    if "audio" in config.modalities:
        audio = _heard(folder, texts, config.towers, grammar, quiet)
    train, held = _split(config, labels)
    return Items(tuple(texts), images, labels, train, held, audio, cache=folder, graph=graph_of(grammar))


def sampled(config: ContrastiveTraining, cache: Path, quiet: bool = False, grammar: Grammar | None = None) -> Items:
    """Notations as the recogniser's base meets them, sampled from the graph's rules and drawn once each.

    Drawn in shards that are kept in ``cache``, by all that decides how they look; a killed run goes on with the next
    one missing.
    """
    from tqdm import tqdm

    from guqin_kg.recognise.vocabulary import Vocabulary
    from guqin_kg.recognise.words import Words
    from training.recogniser.drawing import Painter, Recipe, surroundings
    from training.recogniser.shards import Producer, Shard, join

    grammar = grammar or default_grammar()
    words = Words(grammar)
    vocabulary = Vocabulary.of(base for base in words.bases() if words.inventory.by_id[base].forms)
    height, width = config.towers.height, config.towers.width
    graph = graph_of(grammar)
    count = max(1, config.drawn_images // config.shard)
    recipe = Recipe(vocabulary, height, width, _LONGEST, other_share=0.0)
    root = cache / f"sampled-{recipe.key(graph, config.seed, config.shard, surroundings())}"
    producer = Producer(lambda: Painter(recipe, grammar), root, count, config.seed, config.shard, _LONGEST, workers=0)
    parts: list[Shard] = []
    try:
        for number in tqdm(range(count), desc="drawing", unit="shard", disable=quiet or count < 4, file=sys.stderr):
            parts.append(producer.get(number))
    finally:
        producer.close()
    shard = join(parts)
    classes: dict[tuple[str, ...], int] = {}
    texts: list[str] = []
    labels = np.empty(len(shard), np.int64)
    for at, row in enumerate(shard.tokens):
        bases = tuple(vocabulary.ids[token] for token in row[1 : int((row > 0).sum()) - 1])
        if bases not in classes:
            read = words.decode(bases)
            assert read is not None, bases
            classes[bases] = len(texts)
            texts.append(read.reading)
        labels[at] = classes[bases]
    near = neighbours(list(classes), config.hard_negatives * 4, config.seed) if config.hard_negatives else None
    train, held = _split(config, labels)
    return Items(tuple(texts), shard.images, labels, train, held, near=near, cache=root, graph=graph)


def neighbours(sequences: Sequence[tuple[str, ...]], most: int, seed: int) -> Array:
    """For each sequence up to ``most`` others that differ from it in one word (other, missing or additional).

    Returns:
        ``(len(sequences), most)`` int32, -1 where there are no more.
    """
    groups: dict[tuple[str | None, ...], list[int]] = {}
    for at, words in enumerate(sequences):
        for place in range(len(words)):
            groups.setdefault((*words[:place], None, *words[place + 1 :]), []).append(at)
    whole = {words: at for at, words in enumerate(sequences)}
    found: list[set[int]] = [set() for _ in sequences]
    rng = np.random.default_rng([seed, 6])
    for members in groups.values():
        for at in members if len(members) > 1 else ():
            # a few of a large group: everyone meets others
            some = members if len(members) <= 16 else [members[i] for i in rng.integers(0, len(members), 16)]
            found[at].update(some)
    for at, words in enumerate(sequences):
        for place in range(len(words)):
            shorter = whole.get((*words[:place], *words[place + 1 :]))
            if shorter is not None:
                found[at].add(shorter)
                found[shorter].add(at)
    out = np.full((len(sequences), max(1, most)), -1, np.int32)
    for at, others in enumerate(found):
        chosen = sorted(others - {at})
        if len(chosen) > most:
            chosen = [chosen[i] for i in sorted(rng.choice(len(chosen), most, replace=False))]
        out[at, : len(chosen)] = chosen
    return out


def _sounding(texts: list[str], grammar: Grammar, quiet: bool) -> list[str]:
    from guqin_kg.recognise.hear import sounds_alone

    found = [text for text in texts if sounds_alone(text, grammar)]
    if len(found) < len(texts) and not quiet:
        left = [text for text in texts if text not in set(found)]
        sys.stderr.write(f"{len(left)} readings do not sound by themselves and are left out: {' '.join(left[:8])}\n")
    if not found:
        raise DataError("none of these readings sounds by itself", hint="leave `audio` out of the modalities")
    return found


def _heard(folder: Path, texts: Sequence[str], towers: Towers, grammar: Grammar, quiet: bool) -> Array:
    """Spectra of all texts, in chunks that are kept by what sounds them."""
    from tqdm import tqdm

    from guqin_kg import resources, score, sound
    from guqin_kg.recognise import hear

    code = [path for part in (score, sound) for path in sorted(Path(str(part.__file__)).parent.glob("*.py"))]
    made = f"{towers.frames}x{towers.bands}-{resources.digest([*code, Path(hear.__file__)])[:8]}"
    parts = []
    starts = range(0, len(texts), _CHUNK // 4)
    for start in tqdm(starts, desc="sounding", unit="chunk", disable=quiet or len(starts) < 4, file=sys.stderr):
        path = folder / f"audio-{made}-{start // (_CHUNK // 4):05d}.npy"
        if not path.is_file():
            _write(path, np.stack([sound_frames(text, towers, grammar) for text in texts[start : start + _CHUNK // 4]]))
        parts.append(np.load(path, allow_pickle=False))
    return np.concatenate(parts)


def _write(path: Path, rows: Array) -> None:
    """A chunk, whole or not at all.

    Raises:
        LimitError: no space; what was written before is kept.
    """
    part = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.save(file, rows, allow_pickle=False)
        part.rename(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise LimitError(
            f"cannot write {path.name}: {error.strerror or error}",
            code="no-space",
            file=path.parent,
            hint="free some space and start again; finished chunks are kept",
        ) from None


def _drawn(
    folder: Path,
    notations: Sequence[Notation],
    labels: Array,
    config: ContrastiveTraining,
    engine: Engine,
    quiet: bool,
) -> Array:
    from tqdm import tqdm

    parts = []
    starts = range(0, len(labels), _CHUNK)
    for start in tqdm(starts, desc="drawing", unit="chunk", disable=quiet or len(starts) < 4, file=sys.stderr):
        path = folder / f"images-{start // _CHUNK:05d}.npy"
        if not path.is_file():
            chunk = np.stack(
                [
                    draw_image(
                        notations[label],
                        config.preset,
                        config.seed * 1_000_003 + at,
                        config.towers.height,
                        config.towers.width,
                        engine,
                    )
                    for at, label in enumerate(labels[start : start + _CHUNK], start)
                ]
            )
            _write(path, chunk)
        parts.append(np.load(path, mmap_mode="r", allow_pickle=False))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _split(config: ContrastiveTraining, labels: Array) -> tuple[Array, Array]:
    rng = np.random.default_rng([config.seed, 5])
    if config.split == "notation":
        classes = rng.permutation(int(labels.max()) + 1)
        kept = set(classes[: _cut(len(classes), config.train_share)].tolist())
        mask = np.array([label in kept for label in labels])
        return np.flatnonzero(mask), np.flatnonzero(~mask)
    order = rng.permutation(len(labels))
    cut = _cut(len(order), config.train_share)
    return np.sort(order[:cut]), np.sort(order[cut:])


def _cut(count: int, share: float) -> int:
    """How many of ``count`` are trained on: at least one, and at least one is held out."""
    return max(1, min(round(count * share), count - 1))

"""Items of the contrastive experiments: notations × drawn images, one text and, where asked, one sound each.

Pictures are drawn once into ``images.npy`` (uint8, ink 255) in chunks of their own files, so that a killed run goes
on where it was; the split is by image, as published, or by notation.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from guqin_kg.errors import DataError, LimitError, NotFoundError
from guqin_kg.model import Notation
from guqin_kg.recognise.images import fit
from training.contrastive.config import ContrastiveTraining, Towers

Array = np.ndarray
_CHUNK = 512
_SIZE = 72
_MIXED = {"print": 0.4, "photo": 0.15, "handwritten": 0.25, "clean": 0.2}
_RATE = 16_000


@dataclass(frozen=True)
class Items:
    """The data of one run.

    Attributes:
        texts: reading of each class.
        images: ``(n, height, width)`` uint8, ink 255.
        labels: class of each image.
        train: indices of training images; held: of held-out ones.
        audio: ``(classes, frames, mels)`` float32, or None.
    """

    texts: tuple[str, ...]
    images: Array
    labels: Array
    train: Array
    held: Array
    audio: Array | None = None


def readings(config: ContrastiveTraining, names: Path | None = None) -> list[str]:
    """The readings of the run: a file of names (one a line, ``index<TAB>name`` accepted), or the lexicon's first.

    Raises:
        NotFoundError: ``names`` is asked for and no file is given.
        DataError: a file without readings.
    """
    from guqin_kg.notation.format import short_reading
    from guqin_kg.notation.grammar import default_grammar
    from guqin_kg.notation.lexicon import published

    if names is not None:
        lines = [line.split("\t")[-1].strip() for line in names.read_text("utf-8").splitlines()]
        found = [line for line in lines if line and not line.startswith("#")]
        if not found:
            raise DataError("no reading in this file", file=names, hint="one reading a line")
        return found
    if config.notations == "names":
        raise NotFoundError("this configuration wants a file of readings", hint="give --names FILE, one reading a line")
    grammar = default_grammar()
    every = list(islice(published(grammar), 26_416))
    # spread over the whole lexicon, not its first corner
    order = np.random.default_rng(config.seed).permutation(len(every))[: int(config.notations)]
    return [short_reading(every[int(at)], grammar) for at in sorted(order)]


def draw_image(notation: Notation, preset: str, seed: int, height: int, width: int) -> Array:
    """One drawn picture in the window, uint8 ``(height, width)``, ink 255."""
    from guqin_kg.draw import draw_spec, sample_spec

    rng = np.random.default_rng(seed)
    if preset == "mixed":
        preset = str(rng.choice(list(_MIXED), p=list(_MIXED.values())))
    spec = sample_spec(notation, preset, int(rng.integers(2**62)), size=_SIZE, frame="crop")
    return fit(draw_spec(spec).pixels, height, width).pixels


def sound_frames(reading: str, towers: Towers) -> Array:
    """Log-mel frames ``(frames, mels)`` of what the reading sounds, mean 0 and variance 1."""
    from scipy.signal import resample_poly

    from guqin_kg.notation.grammar import default_grammar
    from guqin_kg.score.context import interpret
    from guqin_kg.score.export import audio
    from guqin_kg.score.read import Row, Score
    from guqin_kg.sound.wav import RATE

    grammar = default_grammar()
    found = interpret(Score("readings", (Row(1, "1", main=reading),)), grammar)
    samples = audio(found, grammar.inventory)
    return log_mel(resample_poly(samples, _RATE, RATE), towers.frames, towers.mels)


def log_mel(samples: Array, frames: int, mels: int, rate: int = _RATE, window: int = 1024, hop: int = 512) -> Array:
    """Log-mel spectrogram, cut or padded to ``frames`` rows, standardised. ``samples`` (n,) float at ``rate`` Hz."""
    need = hop * (frames - 1) + window
    samples = np.pad(samples[:need].astype(np.float32), (0, max(0, need - len(samples))))
    rows = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop][:frames] * np.hanning(window)
    power = np.abs(np.fft.rfft(rows, axis=1)) ** 2
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), mels + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(window, 1 / rate)
    rise = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    bank = np.clip(np.minimum(rise, fall), 0, None)
    level = np.log(power @ bank.T + 1e-6)
    return ((level - level.mean()) / max(float(level.std()), 1e-6)).astype(np.float32)


def prepare(config: ContrastiveTraining, cache: Path, names: Path | None = None, quiet: bool = False) -> Items:
    """Draw (or take from ``cache``) the data of a run.

    Raises:
        ReadingError: a name that cannot be parsed.
        LimitError: no space; what was drawn is kept.
    """
    from guqin_kg.notation.grammar import default_grammar
    from guqin_kg.notation.parse import parse

    texts = readings(config, names)
    grammar = default_grammar()
    notations = [parse(text, grammar) for text in texts]
    shape = (config.towers.height, config.towers.width)
    key = json.dumps([texts, config.images_each, config.preset, config.seed, shape, grammar.inventory.content_hash])
    folder = cache / ("contrastive-" + hashlib.blake2b(key.encode(), digest_size=8).hexdigest())
    labels = np.repeat(np.arange(len(texts)), config.images_each)
    images = _drawn(folder, notations, labels, config, quiet)
    audio = None
    if "audio" in config.modalities:
        audio = np.stack([sound_frames(text, config.towers) for text in texts])
    train, held = _split(config, labels)
    return Items(tuple(texts), images, labels, train, held, audio)


def _drawn(
    folder: Path, notations: Sequence[Notation], labels: Array, config: ContrastiveTraining, quiet: bool
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
                    )
                    for at, label in enumerate(labels[start : start + _CHUNK], start)
                ]
            )
            try:
                folder.mkdir(parents=True, exist_ok=True)
                part = path.with_suffix(".tmp")
                with part.open("wb") as file:
                    np.save(file, chunk, allow_pickle=False)
                part.rename(path)
            except OSError as error:
                raise LimitError(
                    f"cannot write the drawn images: {error.strerror}",
                    file=folder,
                    hint="free some space and start again; finished chunks are kept",
                ) from None
        parts.append(np.load(path, mmap_mode="r", allow_pickle=False))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _split(config: ContrastiveTraining, labels: Array) -> tuple[Array, Array]:
    rng = np.random.default_rng([config.seed, 5])
    if config.split == "notation":
        classes = rng.permutation(int(labels.max()) + 1)
        kept = set(classes[: max(1, round(len(classes) * config.train_share))].tolist())
        mask = np.array([label in kept for label in labels])
        return np.flatnonzero(mask), np.flatnonzero(~mask)
    order = rng.permutation(len(labels))
    cut = max(1, round(len(order) * config.train_share))
    return np.sort(order[:cut]), np.sort(order[cut:])

"""Sounds as the audio tower hears them: frames of a log-frequency spectrum.

A semitone is wider than a band everywhere above the lowest string, so that neighbouring positions differ; levels are
standardised, so that loudness does not count.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from guqin_kg.errors import DataError, NotFoundError
from guqin_kg.notation.grammar import Grammar

RATE = 8000
"""Samples a second the tower works on: the highest harmonics of the strings add nothing to pitch."""

_WINDOW, _HOP, _SIZE = 2048, 512, 4096
_LOWEST, _HIGHEST = 55.0, 3520.0

MAX_SECONDS = 600
"""Longer files are refused; only the first seconds count anyway."""

MAX_RATE = 768_000
"""The quickest that sound is sold with; what says more is damaged, and would take all memory to bring to ``RATE``."""


def spectrum(samples: np.ndarray, frames: int, bands: int, rate: int = RATE) -> np.ndarray:
    """Log-frequency frames ``(frames, bands)`` float32, mean 0 and variance 1; cut or padded with silence.

    Args:
        samples: ``(n,)`` float, ``rate`` a second.
        frames: how many, 64 ms each.
        bands: from 55 Hz to 3.5 kHz in equal musical steps.
        rate: samples a second.
    """
    if rate != RATE:
        from math import gcd

        from scipy.signal import resample_poly

        common = gcd(RATE, rate)
        samples = resample_poly(samples, RATE // common, rate // common)
    need = _HOP * (frames - 1) + _WINDOW
    samples = np.pad(samples[:need].astype(np.float32), (0, max(0, need - len(samples))))
    rows = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP][:frames] * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(rows, _SIZE, axis=1)) ** 2
    level = np.log(power @ _bank(bands).T + 1e-5)
    return ((level - level.mean()) / max(float(level.std()), 1e-6)).astype(np.float32)


def _bank(bands: int) -> np.ndarray:
    """Triangles ``(bands, bins)``, centres in equal musical steps."""
    edges = np.geomspace(_LOWEST, _HIGHEST, bands + 2)
    bins = np.fft.rfftfreq(_SIZE, 1 / RATE)
    step = RATE / _SIZE
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise = (bins[None] - low) / np.maximum(centre - low, step)
    fall = (high - bins[None]) / np.maximum(high - centre, step)
    bank = np.clip(np.minimum(rise, fall), 0, None)
    near = np.abs(bins[None] - centre).argmin(1)  # a band narrower than a bin takes the nearest one
    bank[np.arange(bands), near] = np.maximum(bank[np.arange(bands), near], 0.5)
    return bank


def played(reading: str, grammar: Grammar) -> tuple[np.ndarray, int]:
    """What ``guqin play`` makes of one reading: samples ``(n,)`` and samples a second.

    Raises:
        ReadingError: it cannot be parsed.
    """
    from guqin_kg.score.context import interpret
    from guqin_kg.score.export import audio
    from guqin_kg.score.read import Row, Score
    from guqin_kg.sound.wav import RATE as FULL

    found = interpret(Score("readings", (Row(1, "1", main=reading),)), grammar)
    return audio(found, grammar.inventory), FULL


def sounds_alone(reading: str, grammar: Grammar) -> bool:
    """Whether a reading sounds without the notes before it."""
    from guqin_kg.errors import GuqinKGError
    from guqin_kg.score.context import interpret
    from guqin_kg.score.export import timeline
    from guqin_kg.score.read import Row, Score
    from guqin_kg.sound.phrase import voices

    try:
        found = interpret(Score("readings", (Row(1, "1", main=reading),)), grammar)
        return bool(voices(timeline(found), found.strings))
    except GuqinKGError:
        return False


def load_sound(path: Path) -> tuple[np.ndarray, int]:
    """Samples ``(n,)`` float and samples a second of a WAV file, channels averaged.

    Raises:
        NotFoundError: no such file.
        DataError: not a WAV file, damaged, empty, or longer than ``MAX_SECONDS``.
    """
    from scipy.io import wavfile

    if not path.is_file():
        raise NotFoundError(f"no sound file {path}", hint="a WAV file; guqin play READING --out F.wav makes one")
    try:
        rate, data = wavfile.read(path)
    except (ValueError, OSError, EOFError) as error:
        raise _unreadable(path, str(error)) from None
    except (struct.error, ArithmeticError, UnboundLocalError):  # what scipy says of such a header helps nobody
        raise _unreadable(path, "its header is cut off or damaged") from None
    if not 0 < rate <= MAX_RATE:
        raise _unreadable(path, f"its header says {rate} samples a second")
    if not len(data) or len(data) > rate * MAX_SECONDS:
        raise DataError(
            f"this sound lasts {len(data) / rate:.0f} seconds",
            code="bad-audio",
            file=path,
            hint="one notation at a time: a few seconds",
        )
    full = float(np.iinfo(data.dtype).max) if np.issubdtype(data.dtype, np.integer) else 1.0
    samples = np.nan_to_num(data.astype(np.float64) / full)
    return (samples.mean(1) if samples.ndim == 2 else samples), int(rate)


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(f"cannot read this sound: {why}", code="bad-audio", file=path, hint="a WAV file")

"""Measurements on samples: fundamental, level of a frequency, pitch over time."""

from __future__ import annotations

import numpy as np

RATE = 44_100


def fundamental(samples: np.ndarray, near: float, start: float = 0.25, seconds: float = 1.0) -> float:
    """Frequency in Hz of the strongest line within a semitone of ``near`` (interpolated peak of a windowed FFT)."""
    part = samples[int(start * RATE) : int((start + seconds) * RATE)]
    size = 1 << 18
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), size))
    step = RATE / size
    low, high = int(near / 1.06 / step), int(near * 1.06 / step) + 1
    k = low + int(np.argmax(spectrum[low:high]))
    a, b, c = np.log(spectrum[k - 1 : k + 2])
    return float((k + 0.5 * (a - c) / (a - 2 * b + c)) * step)


def level(samples: np.ndarray, hz: float, start: float = 0.6, seconds: float = 0.8) -> float:
    """Level in dB of the strongest line within 2 % of ``hz``."""
    part = samples[int(start * RATE) : int((start + seconds) * RATE)]
    size = 1 << 16
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), size))
    step = RATE / size
    return float(20 * np.log10(spectrum[int(hz * 0.98 / step) : int(hz * 1.02 / step) + 1].max() + 1e-12))


def track(samples: np.ndarray, near: float, times: list[float], window: float = 0.06) -> list[float]:
    """Cents above ``near`` at ``times`` (seconds), by the period that repeats best (autocorrelation)."""
    out = []
    for time in times:
        at = int(time * RATE)
        part = samples[at : at + int(window * RATE)]
        part = part - part.mean()
        size = 1 << (2 * len(part)).bit_length()
        spectrum = np.fft.rfft(part, size)
        repeat = np.fft.irfft(np.abs(spectrum) ** 2, size)[: len(part)] / (len(part) - np.arange(len(part)))
        low, high = int(RATE / (near * 1.45)), int(RATE / (near / 1.45))
        k = low + int(np.argmax(repeat[low:high]))
        a, b, c = repeat[k - 1 : k + 2]
        period = k + 0.5 * (a - c) / (a - 2 * b + c)
        out.append(float(1200 * np.log2(RATE / period / near)))
    return out

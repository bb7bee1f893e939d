"""Chance for many pictures at once: what a picture gets depends on its own seed alone, never on its neighbours.

Making a random generator for each picture costs more than drawing a stroke, so uniform numbers come from a hash of seed
and position (SplitMix64), and normal numbers are read from one fixed table, beginning at a place the seed chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

_TABLE = 1 << 18
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@cache
def _normals() -> np.ndarray:
    return np.random.Generator(np.random.PCG64(20261)).standard_normal(_TABLE)


def _mixed(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Chance:
    """Numbers of chance for a batch of pictures.

    Args:
        seeds: one integer for each picture.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._state = _mixed(np.array([seed & 0xFFFFFFFFFFFFFFFF for seed in seeds], np.uint64) + _GOLDEN)
        self._start = (_mixed(self._state) >> np.uint64(46)).astype(np.int64)

    def uniform(self, count: int) -> np.ndarray:
        """``(pictures, count)`` numbers in 0..1."""
        steps = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
        return (_mixed(self._state[:, None] + steps) >> np.uint64(11)) * 2.0**-53

    def normal(self, picture: np.ndarray, number: np.ndarray) -> np.ndarray:
        """The standard normal number ``number`` of each picture; the two arrays are broadcast."""
        return _normals().take((self._start[picture] + number) & (_TABLE - 1))

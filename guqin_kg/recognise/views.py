"""One picture seen several times, moved a little: what is in it stays, what is an accident of the window does not.

The mean over the views is right hardly more often than the first of them, but it is sure of less that is wrong
(docs/experiments.md, "Seen five times").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from guqin_kg.recognise.candidate import Candidate

MOVES = ((0, 0), (-2, 0), (2, 0), (0, -2), (0, 2))
"""Pixels to the right and down, of a window of 48 x 64."""


def moved(windows: np.ndarray, right: int, down: int) -> np.ndarray:
    """Windows ``(n, height, width)`` moved by whole pixels; what comes in from outside is blank."""
    height, width = windows.shape[1:]
    out = np.zeros_like(windows)
    out[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = windows[
        :, max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return out


def joined(views: Sequence[Sequence[Candidate]], moves: Sequence[tuple[int, int]], size: np.ndarray) -> list[Candidate]:
    """The candidates of all views of one picture; a score is the logarithm of the mean of their probabilities.

    Where a view did not think of a reading, it gave it no probability. Boxes and words are those of the first view that
    thought of it, moved back.

    Args:
        views: candidates of each view.
        moves: how it was moved, in pixels.
        size: width and height of the window, in pixels.
    """
    found: dict[str | None, Candidate] = {}
    shares: dict[str | None, float] = {}
    for view, move in zip(views, moves, strict=True):
        back = np.tile(np.asarray(move, np.float32) / size, 2)
        for row in view:
            shares[row.reading] = shares.get(row.reading, 0.0) + float(np.exp(row.score)) / len(views)
            if row.reading not in found:
                found[row.reading] = replace(row, boxes=(row.boxes - back).clip(0, 1))
    return [replace(row, score=float(np.log(shares[reading] + 1e-30))) for reading, row in found.items()]

"""One way to read a picture, and the probabilities that the ways to read it share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from guqin_kg.model import Notation


@dataclass(frozen=True)
class Candidate:
    """One way to read a picture.

    Attributes:
        reading: canonical short reading; None for "this is no jianzi".
        notation: the structure.
        score: log probability by the network.
        probability: calibrated; the candidates of a picture and the rest share 1.
        token_scores: log probability of each token.
        boxes: window box of each token.
        bases: base id of each token.
    """

    reading: str | None
    notation: Notation | None
    score: float
    probability: float
    token_scores: tuple[float, ...] = ()
    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    bases: tuple[str, ...] = ()


def weighed(rows: Iterable[Candidate], temperature: float) -> list[Candidate]:
    """The candidates of one picture, best first, with the probabilities that their scores mean."""
    ordered = sorted(rows, key=lambda row: -row.score)
    if not ordered:
        return []
    scaled = np.array([row.score for row in ordered]) / temperature
    weights = np.exp(scaled - scaled.max())
    weights /= weights.sum()
    return [replace(row, probability=float(w)) for row, w in zip(ordered, weights, strict=True)]

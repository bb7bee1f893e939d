"""What follows what: a prior over the notations of a piece, for pictures that are neighbours.

A bigram of whole readings backs off to single readings, and these to the fields of the structure (finger after finger,
string after string …), so that a reading never met before is still judged by its parts. It is counted from the readings
of scores, not from pictures; its weight is found by cross-fitting (see ``training.recipes.prior``).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from guqin_kg.errors import DataError, NotFoundError
from guqin_kg.model import Notation
from guqin_kg.recognise.candidate import Candidate
from guqin_kg.recognise.words import Words

if TYPE_CHECKING:
    from guqin_kg.recognise.shelf import Model

NAME = "prior.json"
_START = ""
_FIELDS = 7
"""How many :func:`fields` gives."""

_BIGRAM, _SINGLE, _FIELD = 3.0, 60.0, 4.0
"""How many imaginary observations the coarser level of each step is worth."""


def fields(notation: Notation) -> tuple[str, ...]:
    """What the factored level looks at: form, tone, finger, position, ornaments, techniques, strings."""
    position = notation.position
    return (
        f"{notation.form}{len(notation.notes)}",
        notation.tone or "",
        notation.left_finger or "",
        f"{position.hui}.{position.fen}{position.sign or ''}" if position else "",
        "".join(notation.ornaments),
        "".join(notation.techniques),
        ",".join(map(str, notation.strings)),
    )


@dataclass
class Prior:
    """Counts of readings and fields, in order; ``weight`` multiplies the log probability when reranking."""

    weight: float = 0.4
    single: Counter[str] = field(default_factory=Counter)
    pairs: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    field_single: list[Counter[str]] = field(default_factory=list)
    field_pairs: list[dict[str, Counter[str]]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    def count(self, sequence: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        """Add one sequence of (canonical reading, its fields)."""
        before, parts_before = _START, None
        for reading, parts in sequence:
            if not self.field_single:
                self.field_single = [Counter() for _ in parts]
                self.field_pairs = [defaultdict(Counter) for _ in parts]
            self.single[reading] += 1
            self.pairs[before][reading] += 1
            for at, value in enumerate(parts):
                self.field_single[at][value] += 1
                if parts_before is not None:
                    self.field_pairs[at][parts_before[at]][value] += 1
            before, parts_before = reading, parts

    def log(self, before: tuple[str, tuple[str, ...] | None], now: tuple[str, tuple[str, ...]]) -> float:
        """Log probability of ``now`` after ``before``, each a reading and its fields."""
        total = sum(self.single.values())
        coarse = 0.0
        for at, value in enumerate(now[1]):
            singles = self.field_single[at]
            single = (singles[value] + 0.5) / (total + 0.5 * (len(singles) + 1))
            pairs = self.field_pairs[at].get(before[1][at]) if before[1] is not None else None
            seen = sum(pairs.values()) if pairs else 0
            coarse += float(np.log(((pairs[value] if pairs else 0) + _FIELD * single) / (seen + _FIELD)))
        alone = (self.single[now[0]] + _SINGLE * np.exp(coarse)) / (total + _SINGLE)
        pair = self.pairs.get(before[0])
        seen = sum(pair.values()) if pair else 0
        return float(np.log(((pair[now[0]] if pair else 0) + _BIGRAM * alone) / (seen + _BIGRAM)))

    def rerank(self, rows: Sequence[Sequence[Candidate]], words: Words) -> list[list[Candidate]]:
        """Candidates of neighbouring pictures, ordered and weighed with the prior (forward and backward sums)."""
        if not rows:
            return []
        log = lru_cache(maxsize=100_000)(self.log)
        known: list[list[tuple[str, tuple[str, ...]] | None]] = [
            [(c.reading, fields(c.notation)) if c.reading is not None and c.notation else None for c in row]
            for row in rows
        ]
        image = [np.log(np.array([max(c.probability, 1e-9) for c in row])) for row in rows]

        def step(a: tuple[str, tuple[str, ...]] | None, b: tuple[str, tuple[str, ...]] | None) -> float:
            # what is no jianzi interrupts nothing and is neither likelier nor less likely for its neighbours
            return self.weight * (log(a or (_START, None), b) + 6.0) if b is not None else 0.0

        edges: list[np.ndarray] = []
        first = np.array([step(None, b) for b in known[0]])
        for at in range(1, len(rows)):
            steps = [[step(a, b) for b in known[at]] for a in known[at - 1]]
            edges.append(np.array(steps).reshape(len(rows[at - 1]), len(rows[at])))
        forward = [image[0] + first]
        for at, edge in enumerate(edges, 1):
            forward.append(
                image[at] + (_logsum(forward[-1][:, None] + edge, 0) if len(forward[-1]) and len(image[at]) else 0)
            )
        backward = [np.zeros(len(rows[-1]))]
        for at in range(len(rows) - 2, -1, -1):
            edge, following = edges[at], backward[0] + image[at + 1]
            backward.insert(0, _logsum(edge + following[None], 1) if len(following) else np.zeros(len(rows[at])))
        out: list[list[Candidate]] = []
        for row, alpha, beta in zip(rows, forward, backward, strict=True):
            if not row:
                out.append([])
                continue
            score = alpha + beta
            p = np.exp(score - score.max())
            p /= p.sum()
            order = np.argsort(-p, kind="stable")
            out.append([replace(row[i], probability=float(p[i])) for i in order])
        return out

    def to_json(self) -> dict[str, Any]:
        """Counts as a JSON-able object."""
        return {
            "weight": self.weight,
            "sources": self.sources,
            "single": dict(sorted(self.single.items())),
            "pairs": {k: dict(sorted(v.items())) for k, v in sorted(self.pairs.items())},
            "field_single": [dict(sorted(c.items())) for c in self.field_single],
            "field_pairs": [{k: dict(sorted(v.items())) for k, v in sorted(t.items())} for t in self.field_pairs],
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Prior:
        """From :meth:`to_json`.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is something else.
        """
        found = cls(
            float(body["weight"]),
            _counts(body["single"]),
            {k: _counts(v) for k, v in body["pairs"].items()},
            [_counts(c) for c in body["field_single"]],
            [{k: _counts(v) for k, v in t.items()} for t in body["field_pairs"]],
            list(body.get("sources", ())),
        )
        if not (np.isfinite(found.weight) and found.weight >= 0):
            raise ValueError(f"weight is {found.weight}, not a number from 0 on")
        for key, tables in (("field_single", found.field_single), ("field_pairs", found.field_pairs)):
            if len(tables) != _FIELDS:
                raise ValueError(f"{key} has {len(tables)} tables, a notation {_FIELDS} fields")
        return found


def _counts(table: Mapping[str, Any]) -> Counter[str]:
    for key, count in table.items():
        if type(count) is not int or count < 0:
            raise ValueError(f"{key!r} is counted {count!r} times")
    return Counter(table)


def _logsum(values: np.ndarray, axis: int) -> np.ndarray:
    top = values.max(axis=axis, keepdims=True)
    total: np.ndarray = np.log(np.exp(values - top).sum(axis=axis)) + np.squeeze(top, axis)
    return total


def load(folder: Path) -> Prior:
    """The prior of a model folder.

    Raises:
        NotFoundError: the model has none.
        DataError: the file is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        raise NotFoundError("this model has no sequence prior", file=path, hint="recognise without --sequence")
    try:
        return Prior.from_json(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise DataError(
            f"cannot read it: {error.strerror or error}", file=path, hint="may you read this file?"
        ) from None
    except (ArithmeticError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"damaged sequence prior: {what}", code="bad-model", file=path, hint="recognise without --sequence"
        ) from None


def of_model(model: Model) -> Prior:
    """The prior that a model is used with: counts of its base; the weight of its calibration, where that has one.

    An adapted model is surer of what it sees and needs its neighbours less.

    Raises:
        NotFoundError, DataError: as :func:`load`; also for a weight that is no number.
    """
    found = load(model.folder)
    try:
        found.weight = float(model.calibration.get("prior_weight", found.weight))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"prior_weight of the calibration is no number: {error}", file=model.folder, hint="a number from 0 to 1"
        ) from None
    return found

"""What a recogniser gets right on labelled pictures, how well it knows it, and what it takes for what.

Protocol: pictures in file order; an answer is right when its canonical reading equals the label's. Open means every
well-formed notation may be answered; closed means only the readings of the data. Nothing is fitted here.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg.recognise.candidate import Candidate
from guqin_kg.recognise.recogniser import Recogniser
from training.evaluate import plot
from training.recogniser.crops import Crops, read_crops, windows_of

BINS = 10


@dataclass
class Report:
    """Figures of one evaluation; lists have one entry a picture."""

    name: str
    truths: list[str]
    answers: list[list[tuple[str, float]]]
    confusions: Counter[tuple[str, str]] = field(default_factory=Counter)
    milliseconds: float = 0.0
    skipped: int = 0

    @property
    def right(self) -> np.ndarray:
        """Whether the first answer is right."""
        return np.array([bool(a) and a[0][0] == t for t, a in zip(self.truths, self.answers, strict=True)])

    @property
    def sure(self) -> np.ndarray:
        """Probability of the first answer."""
        return np.array([a[0][1] if a else 0.0 for a in self.answers])

    def top(self, k: int) -> float:
        """Share of pictures whose label is among the first ``k`` answers."""
        return float(np.mean([t in [r for r, _ in a[:k]] for t, a in zip(self.truths, self.answers, strict=True)]))

    def automatic(self, precision: float = 0.99) -> float:
        """The largest share of pictures that can be answered, surest first, with at least ``precision`` right."""
        order = np.argsort(-self.sure, kind="stable")
        hits = np.cumsum(self.right[order]) / np.arange(1, len(order) + 1)
        enough = np.flatnonzero(hits >= precision)
        return float((enough[-1] + 1) / len(order)) if len(enough) else 0.0

    def calibration(self) -> list[tuple[float, float, int]]:
        """Per tenth of probability: mean probability, share right, pictures."""
        at = np.minimum((self.sure * BINS).astype(int), BINS - 1)
        return [
            (float(self.sure[at == b].mean()), float(self.right[at == b].mean()), int((at == b).sum()))
            for b in range(BINS)
            if (at == b).any()
        ]

    def calibration_error(self) -> float:
        """Expected calibration error."""
        return sum(abs(p - r) * n for p, r, n in self.calibration()) / len(self.truths)

    def interval(self) -> float:
        """Half width of the 95 % interval of top-1 (normal approximation)."""
        p, n = self.top(1), len(self.truths)
        return float(1.96 * np.sqrt(p * (1 - p) / n))

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "data": self.name,
            "images": len(self.truths),
            "left_out": self.skipped,
            "top1": round(self.top(1), 4),
            "top1_95": round(self.interval(), 4),
            "top5": round(self.top(5), 4),
            "called_no_jianzi": round(float(np.mean([bool(a) and a[0][0] == "" for a in self.answers])), 4),
            "automatic_at_99": round(self.automatic(), 4),
            "calibration_error": round(self.calibration_error(), 4),
            "milliseconds_per_image": round(self.milliseconds, 2),
            "confusions": [{"is": a, "read_as": b, "times": n} for (a, b), n in self.confusions.most_common(25)],
        }

    def text(self) -> str:
        """A short table for the terminal."""
        row = self.to_json()
        lines = [f"{key:24} {row[key]}" for key in row if key not in ("confusions",)]
        lines += ["", "mistaken components (is -> read as, times):"]
        lines += [
            f"  {c['is'] or '(nothing)'} -> {c['read_as'] or '(nothing)'}  {c['times']}" for c in row["confusions"][:12]
        ]
        return "\n".join(lines)


def on_file(
    reader: Recogniser,
    path: Path,
    *,
    pages: set[str] | None = None,
    closed: bool = False,
    sequence: bool = False,
    careful: bool = False,
) -> Report:
    """Measure on the crops of a JSON-lines file.

    Args:
        reader: the recogniser.
        path: rows with ``file``, ``reading`` and perhaps ``page``.
        pages: only these pages (as text; blanks around them do not count).
        closed: restrict answers to the readings of these rows.
        sequence: rerank with the sequence prior, page by page.
        careful: see each picture five times.

    Raises:
        UsageError: no crop of one of these pages.
        DataError: no usable row.
    """
    crops = read_crops(path, reader.words, reader.vocabulary)
    if pages is not None:
        crops = crops.of_pages(pages)
    return on_crops(reader, crops, name=path.stem, closed=closed, sequence=sequence, careful=careful)


def on_crops(
    reader: Recogniser,
    crops: Crops,
    *,
    name: str,
    closed: bool = False,
    sequence: bool = False,
    careful: bool = False,
) -> Report:
    """Measure on crops, those that cannot be read left out; see :func:`on_file`."""
    windows = windows_of(crops, reader.height, reader.width)
    truths = [row.reading for row in crops.rows]
    if closed:
        reader = Recogniser(reader.model, reader.words.grammar, dict.fromkeys(truths), reader.beams)
    len(reader.automaton.table)  # compiled before the clock starts
    started = time.perf_counter()
    read = reader.read(windows, top=8, careful=careful)
    spent = (time.perf_counter() - started) * 1000 / len(windows)
    if sequence:
        from guqin_kg.recognise import prior

        read = by_page(read, [row.page for row in crops.rows], prior.of_model(reader.model), reader)
    return report(name, truths, read, reader, spent, len(crops.skipped))


def by_page(read: list[list[Candidate]], pages: list[Any], model: Any, reader: Recogniser) -> list[list[Candidate]]:
    """Rerank page by page: pages are sequences of their own."""
    out = list(read)
    for page in dict.fromkeys(pages):
        rows = [at for at, p in enumerate(pages) if p == page]
        for at, row in zip(rows, model.rerank([read[at] for at in rows], reader.words), strict=True):
            out[at] = row
    return out


def report(
    name: str, truths: list[str], read: list[list[Candidate]], reader: Recogniser, spent: float = 0.0, skipped: int = 0
) -> Report:
    """Figures from candidates ("" stands for "no jianzi")."""
    answers = [[(row.reading or "", row.probability) for row in rows] for rows in read]
    out = Report(name, truths, answers, Counter(), spent, skipped)
    for truth, found in zip(truths, answers, strict=True):
        if found and found[0][0] and found[0][0] != truth:
            out.confusions.update(mistakes(names(truth, reader), names(found[0][0], reader)))
    return out


def names(reading: str, reader: Recogniser) -> list[str]:
    """Component names with the kind of word, so that a digit says what it counts: ``string:四``."""
    ids = reader.words.encode(reading)
    return [f"{i.split('-')[0]}:{reader.words.inventory.by_id[i].name}" for i in ids]


def mistakes(truth: list[str], answer: list[str]) -> list[tuple[str, str]]:
    """Pairs (is, read as) of components that differ, by alignment; ``""`` for missing or invented ones."""
    out = []
    for kind, a0, a1, b0, b1 in SequenceMatcher(None, truth, answer, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        left, right = truth[a0:a1], answer[b0:b1]
        for at in range(max(len(left), len(right))):
            out.append((left[at] if at < len(left) else "", right[at] if at < len(right) else ""))
    return out


def write(found: Report, out: Path) -> None:
    """``report.json``, ``calibration.svg`` and ``automatic.svg`` into ``out``."""
    import json

    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(found.to_json(), ensure_ascii=False, indent=1) + "\n", "utf-8")
    (out / "calibration.svg").write_text(
        plot.lines(
            {"measured": [(p, r) for p, r, _ in found.calibration()], "ideal": [(0, 0), (1, 1)]},
            "probability said", "share right", x=(0, 1), y=(0, 1),
        ),
        "utf-8",
    )  # fmt: skip
    order = np.argsort(-found.sure, kind="stable")
    precision = np.cumsum(found.right[order]) / np.arange(1, len(order) + 1)
    share = np.arange(1, len(order) + 1) / len(order)
    step = max(1, len(order) // 200)
    points = [(float(s), float(p)) for s, p in zip(share[::step], precision[::step], strict=True)]
    (out / "automatic.svg").write_text(
        plot.lines({"precision": points}, "share answered", "share right of these", x=(0, 1), y=(0.8, 1)), "utf-8"
    )

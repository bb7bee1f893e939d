"""Count the sequence prior from labelled pages and find its weight by cross-fitting.

Only readings are used, never a picture of the pages the prior is judged on: for each fold of pages the counts come from
the other folds, and the weight judged best on the other folds is the one applied.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg.recognise.candidate import Candidate
from guqin_kg.recognise.prior import NAME, Prior, fields
from guqin_kg.recognise.recogniser import Recogniser
from guqin_kg.recognise.words import Words
from training.recogniser.crops import Crop

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


def count(rows: Sequence[Crop], words: Words) -> Prior:
    """A prior from rows in page order; each page is a sequence of its own."""
    prior = Prior()
    for page in dict.fromkeys(row.page for row in rows):
        items = []
        for row in rows:
            if row.page != page:
                continue
            found = words.decode(row.bases)
            if found:
                items.append((found.reading, fields(found.notation)))
        prior.count(items)
    return prior


def cross_fit(
    rows: Sequence[Crop], read: Sequence[list[Candidate]], reader: Recogniser, folds: int = 4
) -> tuple[list[list[Candidate]], dict[str, Any]]:
    """Rerank every page with counts and weight that come from other pages.

    Args:
        rows: crops in page order.
        read: their candidates.
        reader: for the words.
        folds: how many groups of pages.

    Returns:
        Candidates reranked, and what was found: accuracy before and after, weights chosen.
    """
    from training.evaluate.measure import by_page

    pages = [row.page for row in rows]
    group = {page: at % folds for at, page in enumerate(dict.fromkeys(pages))}
    fold = np.array([group[page] for page in pages])
    truths = [row.reading for row in rows]
    scores = np.zeros((folds, len(WEIGHTS)))
    reranked: list[list[list[list[Candidate]]]] = []
    for number in range(folds):
        prior = count([row for row, f in zip(rows, fold, strict=True) if f != number], reader.words)
        inside = [int(i) for i in np.flatnonzero(fold == number)]
        results = []
        for at, weight in enumerate(WEIGHTS):
            prior.weight = weight
            part = by_page([read[i] for i in inside], [pages[i] for i in inside], prior, reader)
            results.append(part)
            scores[number, at] = sum(bool(c) and c[0].reading == truths[i] for c, i in zip(part, inside, strict=True))
        reranked.append(results)
    out: list[list[Candidate]] = [[] for _ in rows]
    chosen = []
    for number in range(folds):
        best = int(np.argmax(scores.sum(0) - scores[number]))
        chosen.append(WEIGHTS[best])
        for i, row in zip(np.flatnonzero(fold == number), reranked[number][best], strict=True):
            out[i] = row
    before = float(np.mean([bool(c) and c[0].reading == t for c, t in zip(read, truths, strict=True)]))
    after = float(np.mean([bool(c) and c[0].reading == t for c, t in zip(out, truths, strict=True)]))
    return out, {"top1_before": round(before, 4), "top1_after": round(after, 4), "weights": chosen}


def write(prior: Prior, folder: Path) -> None:
    """``prior.json`` into a model folder."""
    text = json.dumps(prior.to_json(), ensure_ascii=False, separators=(",", ":"))
    (folder / NAME).write_text(text + "\n", "utf-8")

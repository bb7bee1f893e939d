"""Ranks: how often the right text is first, or among the first five, for an image (and across the other modalities).

The published top-1 and top-5 rank within a batch of twelve; ``in_batch`` does the same, ``gallery`` ranks against all
texts, which is the harder and the useful number.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def ranks(queries: Array, gallery: Array, truth: Array) -> Array:
    """Rank (0 = first) of the true gallery row of each query, by cosine similarity; ties count against us.

    Args:
        queries: ``(n, space)``. gallery: ``(m, space)``. truth: ``(n,)`` index into the gallery.
    """
    found = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), 1024):
        scores = queries[start : start + 1024] @ gallery.T
        right = scores[np.arange(len(scores)), truth[start : start + 1024]]
        found[start : start + 1024] = (scores >= right[:, None]).sum(1) - 1
    return found


def gallery(queries: Array, texts: Array, truth: Array) -> dict[str, float]:
    """Top-1 and top-5 against all ``texts`` (one row a notation)."""
    return _shares(ranks(queries, texts, truth), len(texts))


def best_of(queries: Array, rows: Array, classes: Array) -> dict[str, float]:
    """Top-1 and top-5 where several gallery rows may be right: the best of them counts.

    Args:
        queries: ``(n, space)``, query i of class i.
        rows: gallery ``(m, space)``.
        classes: ``(m,)`` class of each gallery row.
    """
    found = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), 1024):
        scores = queries[start : start + 1024] @ rows.T
        right = np.arange(start, start + len(scores))[:, None] == classes[None, :]
        best = np.where(right, scores, -np.inf).max(1, keepdims=True)
        found[start : start + 1024] = (~right & (scores >= best)).sum(1)
    return _shares(found, len(rows))


def _shares(place: Array, size: int) -> dict[str, float]:
    return {"top1": float((place < 1).mean()), "top5": float((place < 5).mean()), "gallery": float(size)}


def in_batch(
    queries: Array, texts: Array, truth: Array, batch: int = 12, seed: int = 0, labels: Array | None = None
) -> dict[str, float]:
    """Top-1 and top-5 within batches of ``batch`` rows, as the published figures; equal classes count as right.

    Args:
        queries: ``(n, space)``. texts: gallery. truth: ``(n,)`` gallery row of each query.
        labels: class of each query where that is not its gallery row.
    """
    order = np.random.default_rng(seed).permutation(len(queries))
    batch = max(2, min(batch, len(order)))
    first, five, counted = 0, 0, 0
    classes = truth if labels is None else labels
    for start in range(0, len(order) - batch + 1, batch):
        rows = order[start : start + batch]
        scores = queries[rows] @ texts[truth[rows]].T
        best = np.argsort(-scores, axis=1, kind="stable")
        hits = np.take_along_axis(np.equal.outer(classes[rows], classes[rows]), best, 1)
        first += int(hits[:, 0].sum())
        five += int(hits[:, :5].any(1).sum())
        counted += len(rows)
    return {"top1": first / max(1, counted), "top5": five / max(1, counted), "batch": float(batch)}

"""Beam search over a token automaton, batched, in arrays.

The automaton says which tokens may follow; the network says which are likely. Scores are the network's own log
probabilities, not renormalised over the allowed tokens at each step: that would favour paths on which the grammar
leaves no choice, whatever the picture shows. The readings found share the probability at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from guqin_kg.recognise.automaton import Automaton
from guqin_kg.recognise.network import Network

_NEVER = np.float32(-1e9)
_MARGIN = 10.0
"""Partial readings this much less likely (in nats) than the best one of their image, finished or not, are given up."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One finished sequence.

    Attributes:
        tokens: vocabulary indices, begin and end left out.
        score: sum of log probabilities, end included.
        token_scores: log probability of each token.
        boxes: ``(len(tokens), 4)`` window boxes x0, y0, x1, y1 in 0..1.
    """

    tokens: tuple[int, ...]
    score: float
    token_scores: tuple[float, ...]
    boxes: np.ndarray


def search(
    network: Network,
    automaton: Automaton,
    pixels: np.ndarray,
    *,
    begin: int,
    end: int,
    beams: int = 5,
    bonus: np.ndarray | None = None,
    margin: float = _MARGIN,
) -> list[list[Hypothesis]]:
    """The best readings of each window, best first.

    Where the network is sure one partial reading is left of the ``beams`` that are allowed, so that a step costs what
    the picture asks for: rows of all images are read together, an image has one to ``beams`` of them.

    Args:
        network: the weights.
        automaton: what may be written.
        pixels: uint8 ``(batch, height, width)``.
        begin: index of the begin token.
        end: index of the end token.
        beams: how many partial readings are kept, and the most that are returned.
        bonus: log weight added to each token's logit (tokens,), or None.
        margin: how much less likely than the best (nats) a partial reading may be.
    """
    batch = len(pixels)
    finished: list[list[Hypothesis]] = [[] for _ in range(batch)]
    if not batch:
        return finished
    memory = network.encode(pixels)
    length = network.config["max_tokens"]
    image = np.arange(batch)
    state = np.full(batch, automaton.start, np.int64)
    score = np.zeros(batch, np.float32)
    token = np.full(batch, begin, np.int64)
    history = np.zeros((batch, 0), np.int64)
    scores = np.zeros((batch, 0), np.float32)
    boxes = np.zeros((batch, 0, 4), np.float32)
    cache = network.start(batch)
    best_done = np.full(batch, _NEVER, np.float32)
    worst_done = np.full(batch, _NEVER, np.float32)
    for step in range(length - 1):
        logits, box, cache = network.step(token, image, cache, memory)
        if bonus is not None:
            logits = logits + bonus
        if step:
            boxes = np.concatenate([boxes, box[:, None]], 1)
        top = logits.max(-1, keepdims=True)
        logp = logits - (top + np.log(np.exp(logits - top).sum(-1, keepdims=True)))
        for at in np.flatnonzero(automaton.accepting[state]):
            done = finished[image[at]]
            done.append(
                Hypothesis(
                    tuple(int(t) for t in history[at]),
                    float(score[at] + logp[at, end]),
                    tuple(float(s) for s in scores[at]),
                    boxes[at],
                )
            )
            done.sort(key=lambda h: -h.score)
            del done[beams:]
            best_done[image[at]] = done[0].score
            if len(done) == beams:
                worst_done[image[at]] = done[-1].score
        if step == length - 2:
            break
        total = np.where(automaton.table[state] >= 0, score[:, None] + logp, _NEVER)
        total[:, end] = _NEVER
        best = best_done.copy()
        np.maximum.at(best, image, total.max(1))
        floor = np.maximum(best - np.float32(margin), worst_done)
        row, token = np.nonzero(total > np.maximum(floor, _NEVER / 2)[image][:, None])
        found = total[row, token]
        order = np.lexsort((-found, image[row]))
        row, token, found = row[order], token[order], found[order]
        # rank among those of the same image
        rank = np.arange(len(row)) - np.searchsorted(image[row], image[row])
        kept = rank < beams
        row, token, score = row[kept], token[kept], found[kept]
        if not len(row):
            break
        image = image[row]
        history = np.concatenate([history[row], token[:, None]], 1)
        scores = np.concatenate([scores[row], logp[row, token][:, None]], 1)
        state = automaton.table[state[row], token]
        boxes = boxes[row]
        cache = [layer[:, row] for layer in cache]
    return finished

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
_MARGIN = 8.0
"""Partial readings this much less likely than the best finished one (in nats) are given up."""


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
) -> list[list[Hypothesis]]:
    """The best readings of each window, best first.

    Args:
        network: the weights.
        automaton: what may be written.
        pixels: uint8 ``(batch, height, width)``.
        begin: index of the begin token.
        end: index of the end token.
        beams: how many partial readings are kept, and the most that are returned.
        bonus: log weight added to each token's logit (tokens,), or None.
    """
    batch = len(pixels)
    finished: list[list[Hypothesis]] = [[] for _ in range(batch)]
    if not batch:
        return finished
    memory = network.encode(pixels)
    length = network.config["max_tokens"]
    rows = np.arange(batch)
    state = np.full((batch, 1), automaton.start, np.int64)
    score = np.zeros((batch, 1), np.float32)
    token = np.full((batch, 1), begin, np.int64)
    history = np.zeros((batch, 1, 0), np.int64)
    scores = np.zeros((batch, 1, 0), np.float32)
    boxes = np.zeros((batch, 1, 0, 4), np.float32)
    cache = network.start(batch, 1)
    for step in range(length - 1):
        logits, box, cache = network.step(token, cache, memory)
        if bonus is not None:
            logits = logits + bonus
        if step:
            boxes = np.concatenate([boxes, box[:, :, None]], 2)
        allowed = automaton.table[state] >= 0
        allowed[..., end] = automaton.accepting[state]
        top = logits.max(-1, keepdims=True)
        logp = logits - (top + np.log(np.exp(logits - top).sum(-1, keepdims=True)))
        total = np.where(allowed, score[..., None] + logp, _NEVER)
        for at, beam in zip(*np.nonzero(allowed[..., end] & (score > _NEVER / 2)), strict=True):
            finished[rows[at]].append(
                Hypothesis(
                    tuple(int(t) for t in history[at, beam]),
                    float(total[at, beam, end]),
                    tuple(float(s) for s in scores[at, beam]),
                    boxes[at, beam],
                )
            )
        total[..., end] = _NEVER
        count, _width, tokens = total.shape
        flat = total.reshape(count, -1)
        keep = min(beams, flat.shape[1])
        chosen = np.argpartition(-flat, keep - 1, axis=1)[:, :keep]
        best = np.take_along_axis(flat, chosen, 1)
        alive = []
        for at in range(count):
            done = finished[rows[at]]
            done.sort(key=lambda h: -h.score)
            del done[beams:]
            floor = done[0].score - _MARGIN if done else -1e8
            if len(done) >= beams:
                floor = max(floor, done[-1].score)
            alive.append(best[at].max() > max(floor, -1e8))
        go = np.flatnonzero(alive)
        if not len(go) or step == length - 2:
            break
        parent, token = np.divmod(chosen[go], tokens)
        index = (go[:, None], parent)
        score = best[go]
        state = automaton.table[state[index], token]
        state = np.where(score > _NEVER / 2, state, automaton.start)
        history = np.concatenate([history[index], token[..., None]], 2)
        scores = np.concatenate([scores[index], logp[(*index, token)][..., None]], 2)
        boxes = boxes[index]
        cache = [layer[:, go[:, None], parent] for layer in cache]
        if len(go) < count:
            memory, rows = memory.take(go), rows[go]
    return finished

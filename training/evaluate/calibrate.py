"""Probabilities that mean what they say: temperature and the weight of "no jianzi", fitted on held-out images."""

from __future__ import annotations

from typing import Any

import numpy as np

from guqin_kg.recognise.automata import with_word
from guqin_kg.recognise.beam import Hypothesis, search
from guqin_kg.recognise.network import Network
from guqin_kg.recognise.vocabulary import BEGIN, END, OTHER, Vocabulary
from guqin_kg.recognise.words import Words
from training.recogniser.model import Recogniser
from training.recogniser.shards import Shard


def network_of(model: Recogniser) -> Network:
    """The numpy network with this model's weights."""
    return Network({k: v.detach().float().numpy() for k, v in model.state_dict().items()}, model.config.to_dict())


def calibrate_drawn(
    model: Recogniser, vocabulary: Vocabulary, words: Words, shard: Shard, beams: int = 6
) -> dict[str, Any]:
    """Temperature and the weight of "no jianzi", on drawn images that were not trained on.

    The temperature is the one under which the truth is most likely among the beam; the weight is where as many
    jianzi are rejected as other pictures are accepted, in shares.
    """
    network = network_of(model)
    machine = with_word(words.automaton(vocabulary), OTHER)
    found = search(network, machine, shard.images, begin=BEGIN, end=END, beams=beams)
    truths = [tuple(int(t) for t in row[row >= OTHER]) for row in shard.tokens]
    bias = fit_other_bias(found, truths)
    jianzi = [(h, t) for h, t in zip(found, truths, strict=True) if t != (OTHER,)]
    scores = [[h.score for h in hypotheses] for hypotheses, _ in jianzi]
    right = [next((at for at, h in enumerate(row) if h.tokens == truth), None) for row, truth in jianzi]
    temperature = fit_temperature(scores, right)
    return {"temperature": temperature, "other_bias": bias, "fitted_on": f"{len(shard)} drawn images"}


def fit_other_bias(found: list[list[Hypothesis]], truths: list[tuple[int, ...]]) -> float:
    """What to add to the score of "no jianzi" so that both mistakes are equally frequent (0 without both kinds)."""
    lead: dict[bool, list[float]] = {True: [], False: []}
    for hypotheses, truth in zip(found, truths, strict=True):
        other = max((h.score for h in hypotheses if h.tokens == (OTHER,)), default=-30.0)
        jianzi = max((h.score for h in hypotheses if h.tokens != (OTHER,)), default=-30.0)
        lead[truth == (OTHER,)].append(jianzi - other)
    if not lead[True] or not lead[False]:
        return 0.0
    return even_bias(np.array(lead[False]), np.array(lead[True]))


def even_bias(real: np.ndarray, others: np.ndarray) -> float:
    """The weight of "no jianzi" at which as large a share of the jianzi is rejected as of the other pictures accepted.

    Args:
        real: by how much "jianzi" leads in score, for each picture of one.
        others: the same for each picture of something else.
    """
    options = np.linspace(-6, 6, 121)
    gap = [abs(float((real < b).mean()) - float((others >= b).mean())) for b in options]
    return round(float(options[int(np.argmin(gap))]), 2)


def fit_temperature(scores: list[list[float]], right: list[int | None]) -> float:
    """The temperature under which the right candidate is most likely (images whose truth is not among them count
    as the best one being wrong)."""
    best, chosen = np.inf, 1.0
    for temperature in np.exp(np.linspace(np.log(0.5), np.log(4), 43)):
        loss = 0.0
        for row, at in zip(scores, right, strict=True):
            if not row:
                continue
            scaled = np.array(row) / temperature
            scaled -= scaled.max()
            p = np.exp(scaled) / np.exp(scaled).sum()
            loss -= float(np.log(max(p[at] if at is not None else 1 - p.max(), 1e-6)))
        if loss < best:
            best, chosen = loss, float(temperature)
    return round(chosen, 3)

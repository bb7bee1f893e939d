"""The numpy network gives what the torch network gives; beam search finds what exhaustive search finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from guqin_kg.recognise import automaton
from guqin_kg.recognise.beam import search
from guqin_kg.recognise.network import Network

torch = pytest.importorskip("torch", reason="needs the [train] extra")

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def pair():
    from training.recogniser.model import Recogniser, RecogniserConfig

    torch.manual_seed(3)
    torch.set_num_threads(1)
    config = RecogniserConfig(
        tokens=9, height=32, width=24, channels=(4, 8, 12), blocks=(1, 0, 1), hidden=16, heads=2, feed_forward=24,
        encoder_layers=1, decoder_layers=2, max_tokens=6,
    )  # fmt: skip
    model = Recogniser(config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    model.eval()
    weights = {k: v.numpy() for k, v in model.state_dict().items()}
    return model, Network(weights, config.to_dict())


def test_numpy_equals_torch(pair):
    model, network = pair
    pixels = np.random.default_rng(1).integers(0, 256, (3, 32, 24)).astype(np.uint8)
    tokens = np.array([[1, 5, 6, 4], [1, 4, 4, 8], [1, 7, 5, 5]])
    with torch.no_grad():
        out = model(pixels=torch.from_numpy(pixels).float().div(255).unsqueeze(1), tokens=torch.from_numpy(tokens))
    memory = network.encode(pixels)
    cache = network.start(3)
    for step in range(4):
        logits, boxes, cache = network.step(tokens[:, step], np.arange(3), cache, memory)
        np.testing.assert_allclose(logits, out.logits[:, step].numpy(), atol=2e-4)
        np.testing.assert_allclose(boxes, out.boxes[:, step].numpy(), atol=2e-4)


def test_wide_beam_is_exhaustive(pair):
    model, network = pair
    allowed = [s for n in (1, 2, 3) for s in itertools.product((4, 5, 6, 7), repeat=n)]
    machine = automaton.from_sequences(allowed, 9)
    assert all(machine.accepts(s) for s in allowed)
    assert not machine.accepts((4, 4, 4, 4))
    assert not machine.accepts((8,))
    pixels = np.random.default_rng(2).integers(0, 256, (2, 32, 24)).astype(np.uint8)
    found = search(network, machine, pixels, begin=1, end=2, beams=90, margin=1e3)
    for at in range(2):
        scores = {}
        for sequence in allowed:
            tokens = torch.tensor([[1, *sequence, 2]])
            image = torch.from_numpy(pixels[at : at + 1]).float().div(255).unsqueeze(1)
            with torch.no_grad():
                logp = model(pixels=image, tokens=tokens[:, :-1]).logits.log_softmax(-1)[0]
            scores[sequence] = float(logp.gather(1, tokens[0, 1:, None]).sum())
        best = sorted(scores, key=scores.get, reverse=True)[:5]
        assert [h.tokens for h in found[at]][:5] == best
        assert found[at][0].score == pytest.approx(scores[best[0]], abs=1e-3)
        assert found[at][0].boxes.shape == (len(best[0]), 4)


def test_minimal_automaton_shares_endings():
    machine = automaton.from_sequences([(4, 7), (5, 7), (4, 8), (5, 8)], 9)
    assert len(machine.table) == 3

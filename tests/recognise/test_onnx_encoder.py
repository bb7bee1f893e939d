"""The encoder as an ONNX graph gives what numpy gives, of any network, with an adapter as without."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the [fast] extra")
onnx = pytest.importorskip("onnx", reason="needs the [fast] extra")

from guqin_kg.notation.grammar import default_grammar  # noqa: E402
from guqin_kg.recognise import Recogniser, onnx_encoder  # noqa: E402
from guqin_kg.recognise import recogniser as module  # noqa: E402


def windows(count: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 2, (count, 16, 12)).astype(np.uint8) * 255
    return np.kron(coarse, np.ones((4, 4), np.uint8))


@pytest.mark.parametrize("adapter", [None, "wusheng-1457"])
def test_the_graph_gives_what_numpy_gives(adapter: str | None) -> None:
    network = Recogniser.open(adapter=adapter, grammar=default_grammar()).network
    pixels = windows(11)
    plain = network.features(pixels)
    assert onnx_encoder.hasten(network)
    assert network.features(pixels).dtype == np.float32
    np.testing.assert_allclose(network.features(pixels), plain, atol=1e-4)


def test_the_model_is_well_formed_and_names_its_ends() -> None:
    network = Recogniser.open(grammar=default_grammar()).network
    model = onnx.load_from_string(onnx_encoder.model_of(network))
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["pixels"]
    assert [value.name for value in model.graph.output] == ["features"]


def test_long_lists_are_read_by_it_with_the_same_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, other = (Recogniser.open(grammar=default_grammar()) for _ in range(2))
    pixels = windows(6)
    plain = reader.read(pixels)
    assert reader.network.encoder is None
    monkeypatch.setattr(module, "_MANY", 6)
    hastened = other.read(pixels)
    assert other.network.encoder is not None
    assert [[c.reading for c in row] for row in hastened] == [[c.reading for c in row] for row in plain]


def test_without_the_extra_numpy_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_encoder, "installed", lambda: False)
    network = Recogniser.open(grammar=default_grammar()).network
    assert not onnx_encoder.hasten(network)
    assert network.features(windows(2)).shape[0] == 2

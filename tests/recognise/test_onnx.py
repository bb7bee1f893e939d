"""The networks as ONNX graphs give what numpy gives, of any network, with an adapter as without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("onnxruntime", reason="needs the [fast] extra")
onnx = pytest.importorskip("onnx", reason="needs the [fast] extra")

from guqin_kg.cli.recognise import adapters  # noqa: E402
from guqin_kg.errors import UsageError  # noqa: E402
from guqin_kg.notation.grammar import default_grammar  # noqa: E402
from guqin_kg.recognise import Recogniser, onnx_encoder  # noqa: E402
from guqin_kg.recognise import recogniser as module  # noqa: E402
from guqin_kg.recognise.vocabulary import BEGIN  # noqa: E402


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


@pytest.mark.parametrize("adapter", [None, "wusheng-1457"])
def test_the_exported_networks_give_what_numpy_gives(adapter: str | None, tmp_path: Path) -> None:
    import onnxruntime

    out = tmp_path / "networks"
    arguments = ["--onnx", "--out", str(out), *(["--merge", adapter] if adapter else [])]
    run = CliRunner().invoke(adapters, arguments)
    assert run.exit_code == 0, run.output
    assert {path.name for path in out.iterdir()} == {
        "encoder.onnx", "decoder.onnx", "config.json", "vocabulary.json", "calibration.json", "README.md",
    }  # fmt: skip
    reader = Recogniser.open(adapter=adapter, grammar=default_grammar())
    network, pixels = reader.network, windows(3)
    encoder, decoder = (onnxruntime.InferenceSession(out / name) for name in ("encoder.onnx", "decoder.onnx"))
    (features,) = encoder.run(None, {"pixels": pixels})
    tokens = np.random.default_rng(2).integers(3, len(reader.vocabulary.ids), (3, 7))
    tokens[:, 0] = BEGIN
    logits, boxes = decoder.run(None, {"tokens": tokens, "features": features})
    memory, cache = network.encode(pixels), network.start(3)
    for place in range(7):
        expected, box, cache = network.step(tokens[:, place], np.arange(3), cache, memory)
        np.testing.assert_allclose(logits[:, place], expected, atol=2e-3)
        np.testing.assert_allclose(boxes[:, place], box, atol=1e-3)


def test_an_export_writes_over_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    run = CliRunner().invoke(adapters, ["--onnx", "--out", str(tmp_path)])
    assert isinstance(run.exception, UsageError)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    run = CliRunner().invoke(adapters, ["--onnx"])
    assert isinstance(run.exception, UsageError)

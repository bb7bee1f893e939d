"""LoRA is laid on and written without warnings and without a look at the network."""

from __future__ import annotations

import socket
import warnings
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("peft", reason="needs the [train] extra")

pytestmark = pytest.mark.train


def test_no_warning_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from peft import LoraConfig

    from training import lora
    from training.config import Architecture
    from training.recogniser.model import Recogniser, RecogniserConfig

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    small = Architecture(
        height=32, width=24, channels=(8, 16, 24), blocks=(0, 0, 0), hidden=32, heads=2, feed_forward=48,
        encoder_layers=1, decoder_layers=1,
    )  # fmt: skip
    (tmp_path / "README.md").write_text("a card without metadata")
    Recogniser(RecogniserConfig(tokens=9, **small.model_dump())).save_pretrained(tmp_path / "base")
    model = Recogniser.from_pretrained(tmp_path / "base")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapted = lora.wrapped(model, LoraConfig(r=2, target_modules=r".*(query|value)"))
        lora.save(adapted, tmp_path, "guqin-kg/recogniser")
        assert lora.loaded(Recogniser.from_pretrained(tmp_path / "base"), str(tmp_path)).peft_config
    assert {p.name for p in tmp_path.iterdir()} == {*lora.FILES, "README.md", "base"}
    assert "guqin-kg/recogniser" in (tmp_path / "adapter_config.json").read_text()
    assert (tmp_path / "README.md").read_text() == "a card without metadata"

"""A hub id without network is refused at once and in one line; folders never ask."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")

from guqin_kg.errors import GuqinKGError
from training import hub

pytestmark = pytest.mark.train


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from huggingface_hub import constants

    hosts: list[str] = []

    def refused(host: str, *_: Any, **__: Any) -> None:
        hosts.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    return hosts


def test_a_folder_is_not_asked_about(asked: list[str], tmp_path: Path) -> None:
    hub.prepare(str(tmp_path))
    assert asked == []


def test_contrastive(asked: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    from training.contrastive.model import HubTowers

    with pytest.raises(GuqinKGError) as caught:
        HubTowers("some/model-of-nobody")
    assert caught.value.code == "no-base"
    assert len(asked) == 1
    assert capfd.readouterr().err == ""


def test_dialogue(asked: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    from training.dialogue import vlm

    with pytest.raises(GuqinKGError) as caught:
        vlm.load("some/model-of-nobody")
    assert caught.value.code == "bad-model"
    assert len(asked) == 1
    assert capfd.readouterr().err == ""

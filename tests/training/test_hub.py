"""A hub id without network is refused at once and in one line; folders never ask."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")

from guqin_kg.errors import GuqinKGError, NotFoundError
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


def test_a_recogniser_of_the_hub_is_taken_from_what_was_kept(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's own client, off line, over a folder laid out as it lays out what it has fetched."""
    from huggingface_hub import constants

    from guqin_kg import resources
    from training.recogniser import bundle

    revision = "0" * 40
    kept = tmp_path / "models--somebody--recogniser"
    snapshot = kept / "snapshots" / revision
    shutil.copytree(resources.folder("models") / "recogniser", snapshot)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(revision)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    found = hub.folder_of("somebody/recogniser")
    assert found == snapshot
    assert bundle.read(found)[1].ids
    assert len(asked) == 1
    with pytest.raises(NotFoundError) as caught:
        hub.folder_of("somebody/else")
    assert "no model of this hub id" in caught.value.message
    assert "\n" not in caught.value.message
    assert hub.folder_of(str(tmp_path)) == tmp_path
    assert hub.folder_of("no-such-folder") == Path("no-such-folder")

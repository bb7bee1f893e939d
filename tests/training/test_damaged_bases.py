"""Bases that are damaged: every recipe says so in one line, none calls it a fault of the program."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")

from guqin_kg import resources
from guqin_kg.errors import GuqinKGError

pytestmark = pytest.mark.train

DAMAGES = ("header", "cut", "gone", "config")


def damaged(kind: str, how: str, tmp_path: Path) -> Path:
    folder = shutil.copytree(resources.folder("models") / kind, tmp_path / kind)
    weights = folder / "model.safetensors"
    if how == "header":
        weights.write_bytes(b"\xff" * 8 + weights.read_bytes()[8:])
    elif how == "cut":
        weights.write_bytes(weights.read_bytes()[:500_000])
    elif how == "gone":
        weights.unlink()
    else:
        (folder / "config.json").unlink()
    return folder


def say(error: GuqinKGError) -> None:
    assert error.hint
    assert "\n" not in error.message


@pytest.mark.parametrize("how", DAMAGES)
def test_recogniser(how: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from training.recogniser import bundle

    with pytest.raises(GuqinKGError) as caught:
        bundle.read(damaged("recogniser", how, tmp_path))
    say(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("how", DAMAGES)
def test_contrastive(how: str, tmp_path: Path) -> None:
    from training.contrastive import run
    from training.contrastive.model import HubTowers

    folder = damaged("contrastive", how, tmp_path)
    with pytest.raises(GuqinKGError) as caught:
        run.read(folder)
    say(caught.value)
    with pytest.raises(GuqinKGError) as caught:
        HubTowers(str(folder))
    say(caught.value)


@pytest.mark.parametrize("how", DAMAGES)
def test_dialogue(how: str, tmp_path: Path) -> None:
    from training.dialogue import vlm

    with pytest.raises(GuqinKGError) as caught:
        vlm.load(str(damaged("dialogue", how, tmp_path)))
    say(caught.value)

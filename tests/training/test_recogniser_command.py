"""`guqin train recognizer`: what a run starts from, options that it does not use, folders that are not its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("peft", reason="needs the [train] extra")

from guqin_kg import resources
from guqin_kg.cli.train import train
from guqin_kg.errors import UsageError
from training import hub
from training.config import CONFIGS
from training.recipes import adapt, base

pytestmark = pytest.mark.train

_FIGURES = {"steps": 1, "minutes": 0.1, "drawn_validation": {}, "crops": 1, "readings": 1}


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """Instead of training, the recipes note the model that they are to start from."""
    noted: list[Path | None] = []

    def base_run(config: Any, out: Path, *, base: Path | None, **_: Any) -> dict[str, Any]:
        noted.append(base)
        return _FIGURES

    def adapt_run(config: Any, base: Path, data: Path, name: str, out: Path, **_: Any) -> dict[str, Any]:
        noted.append(base)
        return _FIGURES

    monkeypatch.setattr(base, "run", base_run)
    monkeypatch.setattr(adapt, "run", adapt_run)
    return noted


def call(*arguments: object) -> Result:
    return CliRunner().invoke(train, ["recognizer", *map(str, arguments)], catch_exceptions=False)


def bundled() -> Path:
    return resources.folder("models") / "recogniser"


def test_a_copy_of_a_configuration_starts_where_it_does(starts: list[Path | None], tmp_path: Path) -> None:
    mine = tmp_path / "my-extend.yaml"
    mine.write_text((CONFIGS / "extend.yaml").read_text("utf-8"), "utf-8")
    for name in ("extend", mine):
        said = call("--config", name, "--out", tmp_path / "out")
        assert "starting from the bundled base" in said.stderr
    assert starts == [bundled(), bundled()]


def test_a_later_stage_wants_the_one_before(starts: list[Path | None], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="goes on from a model") as caught:
        call("--config", "further", "--out", tmp_path / "out")
    assert "--base" in str(caught.value.hint)
    said = call("--config", "further", "--base", tmp_path / "first", "--out", tmp_path / "out")
    assert f"starting from {tmp_path / 'first'}" in said.stderr
    assert starts == [tmp_path / "first"]


def test_from_nothing_is_said(starts: list[Path | None], tmp_path: Path) -> None:
    assert "all weights are new" in call("--config", "base", "--out", tmp_path / "out").stderr
    assert "starting" not in call("--config", "tiny", "--out", tmp_path / "out", "--quiet").stderr
    call("--config", "tiny", "--out", tmp_path / "out", "--base", tmp_path)
    assert starts == [None, None, tmp_path]


def test_an_adaptation_lies_over_the_bundled_base(starts: list[Path | None], tmp_path: Path) -> None:
    data = tmp_path / "crops.jsonl"
    data.write_text("{}\n")
    given = ("--config", "adapt", "--data", data, "--name", "mine", "--out", tmp_path / "mine")
    call(*given)
    call(*given, "--base", tmp_path)
    assert starts == [bundled(), tmp_path]


@pytest.mark.parametrize("option", ["--data", "--name", "--credit"])
def test_options_of_an_adaptation_are_not_ignored(starts: list[Path | None], tmp_path: Path, option: str) -> None:
    with pytest.raises(UsageError, match=option):
        call("--config", "tiny", "--out", tmp_path / "out", option, "mine")
    assert starts == []


def test_a_folder_of_other_things_is_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(*_: Any, **__: Any) -> None:
        raise AssertionError("the run has begun")

    monkeypatch.setattr(adapt.bundle, "read", trained)
    data, out = tmp_path / "crops.jsonl", tmp_path / "mine"
    data.write_text("{}\n")
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"holds thesis\.txt") as caught:
        call("--config", "adapt", "--data", data, "--name", "mine", "--out", out)
    assert caught.value.file == str(out)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_an_adapter_that_comes_with_the_software_is_not_hidden(starts: list[Path | None], tmp_path: Path) -> None:
    crops = tmp_path / "crops.jsonl"
    crops.write_text("{}\n", "utf-8")
    given = ("--config", "adapt", "--data", crops, "--name", "wusheng-1457")
    with pytest.raises(UsageError, match="comes with this software") as caught:
        call(*given)
    assert "--out" in str(caught.value.hint)
    with pytest.raises(UsageError, match="comes with this software"):
        CliRunner().invoke(train, ["contrastive", *map(str, given)], catch_exceptions=False)
    assert starts == []
    call(*given, "--out", tmp_path / "out")
    assert starts == [bundled()]


def test_a_base_is_a_folder_or_a_hub_id(
    starts: list[Path | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "folder_of", lambda base: Path("kept") / base)
    call("--config", "further", "--base", "somebody/recogniser", "--out", tmp_path / "out")
    assert starts == [Path("kept/somebody/recogniser")]

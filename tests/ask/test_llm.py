"""Local language models: which folders are refused, and how little is said about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from guqin_kg.ask import llm
from guqin_kg.errors import DataError, NotFoundError

BUNDLED = Path(__file__).resolve().parents[2] / "models" / "dialogue"


def folder(where: Path, config: object) -> str:
    (where / "config.json").write_text(json.dumps(config), "utf-8")
    return str(where)


@pytest.mark.parametrize(
    "config", [{"vision_config": {}}, {"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava"}]
)
def test_models_that_see_are_refused_in_one_line(tmp_path: Path, config: dict[str, object]) -> None:
    with pytest.raises(DataError, match="no text model for chat") as said:
        llm.complete(folder(tmp_path, config), "?", ["a"], "zh")
    assert "\n" not in said.value.message
    assert "text model" in (said.value.hint or "")
    assert "docs/dialogue-model.md" in (said.value.hint or "")


def test_the_bundled_dialogue_model_is_no_model_for_chat() -> None:
    with pytest.raises(DataError, match="LlavaForConditionalGeneration"):
        llm.complete(str(BUNDLED), "?", ["a"], "zh")


def test_folders_without_a_configuration_are_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no model"):
        llm.complete(str(tmp_path), "?", ["a"], "zh")
    with pytest.raises(DataError, match="not a JSON object"):
        llm.complete(folder(tmp_path, ["config"]), "?", ["a"], "zh")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Unrecognized model type: x. Should contain one of " + "bert, " * 2000, "Unrecognized model type: x."),
        ("a, " * 2000, ", a…"),
        ("", "ValueError"),
    ],
)
def test_other_errors_are_cut_to_their_first_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, kept: str
) -> None:
    def broken(folder: Path, text: str) -> str:
        raise ValueError(said)

    monkeypatch.setattr(llm, "_generated", broken)
    with pytest.raises(DataError) as error:
        llm.complete(folder(tmp_path, {"model_type": "x"}), "?", ["a"], "zh")
    assert error.value.message.rstrip().endswith(kept)
    assert len(error.value.message) <= 200 + len("cannot use the model in : ") + len(str(tmp_path))
    assert "text model" in (error.value.hint or "")


def test_what_transformers_warns_of_stays_out_of_sight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import logging

    heard: list[str] = []
    logger = logging.get_logger("transformers.test_llm")
    monkeypatch.setattr(logger, "handle", lambda record: heard.append(record.getMessage()))
    before = logging.get_verbosity()

    def noisy(folder: Path, text: str) -> str:
        logger.warning("may be expected")
        return "said"

    monkeypatch.setattr(llm, "_generated", noisy)
    assert llm.complete(folder(tmp_path, {}), "?", ["a"], "zh") == "said"
    assert not heard
    assert logging.get_verbosity() == before

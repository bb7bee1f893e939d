"""Configurations of the dialogue recipe: each runs, and says beside what it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")
pytest.importorskip("peft", reason="needs the [train] extra")

from guqin_kg.query.session import GraphSession  # noqa: E402
from training.dialogue.config import CONFIGS, load, names  # noqa: E402
from training.recipes.dialogue import dialogue  # noqa: E402

pytestmark = pytest.mark.train


def test_every_configuration_takes_two_steps(
    session: GraphSession, cache: Path, trained: Path, small: dict[str, Any], tmp_path: Path
) -> None:
    assert len(names()) == len(list(CONFIGS.glob("*.yaml"))) >= 6
    for name in names():
        config = load(name, **small)
        changes: dict[str, Any] = {"other_share": 0.0}
        if config.base:
            changes["base"] = str(trained)
        config = load(name, **{**small, **changes})
        figures = dialogue(config, tmp_path / name, session, cache=cache, quiet=True)
        assert figures["steps"] == 2
        assert figures["loss"] > 0
        whole, adapter = tmp_path / name / "model.safetensors", tmp_path / name / "adapter_model.safetensors"
        assert adapter.is_file() if config.lora else whole.is_file()


def test_the_published_figures_stand_beside_ours() -> None:
    losses = [load(f"experiment-{n}").published.train_loss for n in (1, 2, 3)]
    assert losses == [1.9419, 1.1068, 1.1058]
    assert [load(f"experiment-{n}").notations for n in (1, 2, 3)] == [225, 13254, 277]
    assert {load(f"experiment-{n}").learning_rate for n in (1, 2, 3)} == {1e-5}


def test_notations_by_the_rules_stand_beside_those_of_the_scope(
    session: GraphSession, cache: Path, small: dict[str, Any], tmp_path: Path
) -> None:
    alone = dialogue(load("tiny", **small), tmp_path / "alone", session, cache=cache, quiet=True)
    config = load("tiny", **{**small, "rules_notations": 30})
    beside = dialogue(config, tmp_path / "beside", session, cache=cache, quiet=True)
    assert alone["train_notations"] + 12 < beside["train_notations"] <= alone["train_notations"] + 30
    assert beside["held_out_notations"] == alone["held_out_notations"]

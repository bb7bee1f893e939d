"""What a contrastive run tells of itself when it is given again, killed, or ended by the clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")

from guqin_kg.errors import NotFoundError, UsageError  # noqa: E402
from guqin_kg.inventory import load_inventory  # noqa: E402
from training.contrastive import data, report, run  # noqa: E402
from training.contrastive.config import load  # noqa: E402
from training.recipes.contrastive import contrastive  # noqa: E402

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]


def clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """A clock that goes on by so much whenever it is looked at."""
    now = iter(range(10**9))
    monkeypatch.setattr(run, "time", SimpleNamespace(time=lambda: next(now) * seconds))


def test_a_finished_run_given_again_keeps_its_figures(cache: Path, tmp_path: Path) -> None:
    config = load("tiny")
    first = contrastive(config, tmp_path, cache=cache, quiet=True)
    weights = (tmp_path / "model.safetensors").read_bytes()
    assert first["steps"] == 4
    assert first["loss"] == log_of(tmp_path)[-1]["loss"]
    assert contrastive(config, tmp_path, cache=cache, quiet=True) == first
    assert json.loads((tmp_path / "training.json").read_text("utf-8"))["figures"] == first
    assert (tmp_path / "model.safetensors").read_bytes() == weights
    assert len(log_of(tmp_path)) == 1


def test_a_run_killed_while_measuring_keeps_its_figures(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(report, "figures", killed)
        with pytest.raises(KeyboardInterrupt):
            contrastive(load("tiny"), tmp_path, cache=cache, quiet=True)
    figures = contrastive(load("tiny"), tmp_path, cache=cache, quiet=True)
    assert figures["steps"] == 4
    assert figures["loss"] == log_of(tmp_path)[-1]["loss"]


def test_a_run_that_the_clock_ends_between_two_rows_tells_of_them(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch, 6)
    config = load("tiny", epochs=1000, log_every=1000, max_minutes=1)
    figures = contrastive(config, tmp_path, cache=cache, quiet=True)
    (row,) = log_of(tmp_path)
    assert 1 <= figures["steps"] == row["step"] < 20
    assert figures["loss"] == row["loss"] > 0
    assert figures["minutes"] >= 1
    again = contrastive(config, tmp_path, cache=cache, quiet=True)
    assert again == figures
    longer = contrastive(load("tiny", epochs=1000, log_every=1000, max_minutes=2), tmp_path, cache=cache, quiet=True)
    assert longer["steps"] > figures["steps"]
    assert longer["minutes"] >= 2
    assert [r["step"] for r in log_of(tmp_path)] == [figures["steps"], longer["steps"]]


def test_the_log_holds_the_rows_of_this_run_alone(cache: Path, tmp_path: Path) -> None:
    config = load("tiny", log_every=1, max_steps=2)
    items = data.prepare(config, cache, quiet=True)
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 900, "loss": 0.1, "minutes": 60}\n{"step": 1, "lo', "utf-8")  # of a run before, cut off
    rows = run.train(run.build(config, items), items, config, tmp_path, quiet=True).rows
    assert [row["step"] for row in log_of(tmp_path)] == [1, 2]
    assert log_of(tmp_path) == rows
    with log.open("a", encoding="utf-8") as file:
        file.write('{"step": 3, "loss": 0.1, "minutes": 60}\n')  # a step after the last checkpoint, then killed
    longer = load("tiny", log_every=1, max_steps=4)
    trained = run.train(run.build(config, items), items, longer, tmp_path, quiet=True)
    assert trained.rows[:2] == rows
    assert [row["step"] for row in log_of(tmp_path)] == [1, 2, 3, 4]
    assert trained.loss == log_of(tmp_path)[-1]["loss"] != 0.1


def test_a_run_of_another_graph_list_or_alphabet_is_not_gone_on_from(cache: Path, tmp_path: Path) -> None:
    config = load("tiny", max_steps=1)
    items = data.prepare(config, cache, quiet=True)
    assert items.graph == load_inventory().content_hash

    def go(some: data.Items, alphabet: Callable[[Any], Any] = lambda known: known) -> int:
        model: Any = run.build(config, items)
        model.config.characters = alphabet(model.config.characters)
        return run.train(model, some, config, tmp_path, quiet=True).step

    assert go(items) == 1
    assert go(items) == 1
    with pytest.raises(UsageError, match="the graph has changed") as caught:
        go(replace(items, graph="0" * 32))
    assert caught.value.code == "other-run"
    with pytest.raises(UsageError, match="readings"):
        go(replace(items, texts=(*items.texts[1:], items.texts[0])))
    with pytest.raises(UsageError, match="alphabet"):
        go(items, lambda known: known[::-1])


def test_a_run_over_a_base_that_has_changed_is_not_gone_on_from(cache: Path, tmp_path: Path) -> None:
    weights = tmp_path / "base" / "model.safetensors"
    weights.parent.mkdir()
    config = load("tiny", max_steps=1)
    items = data.prepare(config, cache, quiet=True)
    over = config.model_copy(update={"base": str(weights.parent)})

    def go(of_the_base: bytes) -> int:
        weights.write_bytes(of_the_base)
        return run.train(run.build(config, items), items, over, tmp_path / "out", quiet=True).step

    assert [go(b"one"), go(b"one")] == [1, 1]
    with pytest.raises(UsageError, match="weights of base") as caught:
        go(b"two")
    assert caught.value.code == "other-run"


def test_another_list_of_names_is_refused_by_the_recipe(cache: Path, tmp_path: Path) -> None:
    names, config = tmp_path / "names.txt", load("tiny", notations="names", max_steps=1)
    names.write_text("大九勾四\n散勾一\n名十挑五\n", "utf-8")
    contrastive(config, tmp_path / "out", names=names, cache=cache, quiet=True)
    names.write_text("大九勾四\n散勾四\n名十挑五\n", "utf-8")
    with pytest.raises(UsageError, match="readings"):
        contrastive(config, tmp_path / "out", names=names, cache=cache, quiet=True)


@pytest.mark.parametrize("text", ["[]", "5", "null", "{", '"guqin-contrastive"'])
def test_a_base_whose_configuration_is_no_object(text: str, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text, "utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert not run.is_ours(tmp_path)
    with pytest.raises(NotFoundError, match="no contrastive model"):
        run.read(tmp_path)
    with pytest.raises(NotFoundError, match="no base model"):
        run.build(load("tiny", base=str(tmp_path)), data.prepare(load("tiny"), cache, quiet=True))

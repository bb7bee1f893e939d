"""Runs of the dialogue recipe: killed, continued, shared by processes, stepped by Muon, refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")
pytest.importorskip("peft", reason="needs the [train] extra")

from safetensors.torch import load_file  # noqa: E402

from guqin_kg.errors import DataError, LimitError, UsageError  # noqa: E402
from guqin_kg.query.session import GraphSession  # noqa: E402
from training.dialogue import loop, run, vlm  # noqa: E402
from training.dialogue.config import load  # noqa: E402
from training.dialogue.encode import Encoder  # noqa: E402
from training.dialogue.evaluate import evaluate  # noqa: E402
from training.dialogue.grade import Grader  # noqa: E402
from training.dialogue.pictures import Pictures  # noqa: E402
from training.dialogue.records import Conversation  # noqa: E402
from training.dialogue.tokenizer import alphabet  # noqa: E402
from training.recipes.dialogue import dialogue  # noqa: E402

pytestmark = pytest.mark.train
Fresh = Callable[[], tuple[Any, Encoder]]


def test_muon_steps_the_matrices_of_the_decoder(fresh: Fresh) -> None:
    model, _ = fresh()
    named = dict(model.named_parameters())
    optimiser = loop.optimiser_of(named, loop.Plan(1, 1e-3, 1, matrix_rate=0.01))
    plain, inside = optimiser.param_groups
    taken = {id(p) for p in inside["params"]}
    names_taken = {name for name, p in named.items() if id(p) in taken}
    assert any("q_proj" in name for name in names_taken)
    assert not [name for name in names_taken if "embed" in name or "lm_head" in name or named[name].ndim < 2]
    assert len(plain["params"]) + len(inside["params"]) == len(named)
    with pytest.raises(UsageError, match="no lora"):
        load("experiment-1", matrix_rate=0.01)
    nothing: Any = None
    with pytest.raises(UsageError, match="whole matrices"):
        run.train_sharded(nothing, nothing, load("tiny", matrix_rate=0.01), nothing, Path(), True)


def test_muon_and_a_killed_run(
    found: dict[str, list[Conversation]], drawn: Pictures, fresh: Fresh, tmp_path: Path
) -> None:
    def go(out: Path, *steps: int) -> dict[str, Any]:
        model: Any = None
        for count in steps:
            model, encoder = fresh()
            config = load("tiny", steps=count, turns_each=2, matrix_rate=0.02)
            run.train_dialogue(model, encoder, config, run.Sampler(config, found["train"], drawn),
                               out, True)  # fmt: skip
        return dict(model.named_parameters())

    one, two = go(tmp_path / "one", 4), go(tmp_path / "two", 2, 4)
    assert all(torch.allclose(p, two[name], atol=1e-6) for name, p in one.items())
    start = dict(fresh()[0].named_parameters())
    name = next(name for name in start if "q_proj" in name and "vision" not in name)
    assert not torch.allclose(one[name], start[name], atol=1e-3)


def test_an_interrupted_run_ends_like_an_uninterrupted_one(
    found: dict[str, list[Conversation]], drawn: Pictures, fresh: Fresh, tmp_path: Path
) -> None:
    def go(out: Path, *steps: int) -> Any:
        model, encoder = fresh()
        for count in steps:
            config = load("tiny", steps=count, turns_each=2)
            model, encoder = fresh()  # a new process knows nothing but the checkpoint
            run.train_dialogue(model, encoder, config, run.Sampler(config, found["train"], drawn),
                               out, True)  # fmt: skip
        return model

    one, two = go(tmp_path / "one", 4), go(tmp_path / "two", 2, 4)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_run_of_other_turns_is_not_gone_on_from(
    found: dict[str, list[Conversation]], drawn: Pictures, fresh: Fresh, tmp_path: Path
) -> None:
    def go(some: list[Conversation]) -> list[dict[str, Any]]:
        model, encoder = fresh()
        config = load("tiny", steps=1, turns_each=1)
        return run.train_dialogue(model, encoder, config, run.Sampler(config, some, drawn), tmp_path, True)

    first, *others = found["train"]
    assert go([first, *others])
    assert not go([first, *others])  # it had ended
    reworded = replace(first.turns[0], answer=first.turns[0].answer + "！")
    for other in (others, [*others, first], [replace(first, turns=(reworded, *first.turns[1:])), *others]):
        with pytest.raises(UsageError, match="turns"):
            go(other)


def test_a_row_cut_off_by_a_kill_does_not_count(tmp_path: Path) -> None:
    assert loop.last_row(tmp_path) == {}
    log = tmp_path / "log.jsonl"
    for broken in ("", '{"step": 1, "lo', "5\n", '{"step"\n{"st'):
        log.write_text(broken, "utf-8")
        assert loop.last_row(tmp_path) == {}
    log.write_text('{"step": 2, "loss": 3}\n{"step": 4, "lo', "utf-8")
    assert loop.last_row(tmp_path) == {"step": 2, "loss": 3}
    loop.log_row(tmp_path, {"step": 4, "loss": 1})
    loop.log_row(tmp_path, {"step": 6, "loss": 0})
    assert _losses(tmp_path) == {2: 3, 4: 1, 6: 0}
    log.write_text('{"step": 1', "utf-8")
    loop.log_row(tmp_path, {"step": 2, "loss": 7})
    assert _losses(tmp_path) == {2: 7}


def test_a_finished_run_whose_log_was_cut_off_is_given_again(
    session: GraphSession, cache: Path, tmp_path: Path
) -> None:
    config = load("tiny", evaluate_notations=0)
    dialogue(config, tmp_path, session, cache=cache, quiet=True)
    log = tmp_path / "log.jsonl"
    whole, last = log.read_text("utf-8").splitlines()
    log.write_text(f"{whole}\n{last[:-9]}", "utf-8")
    figures = dialogue(config, tmp_path, session, cache=cache, quiet=True)
    assert figures["loss"] == json.loads(whole)["loss"]


def test_a_run_that_would_not_fit_is_refused_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = loop.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(loop.shutil, "disk_usage", lambda _: usage._replace(free=10))
    parameter = torch.nn.Parameter(torch.zeros(10))
    with pytest.raises(LimitError, match="free"):
        loop.fit("x", {"p": parameter}, lambda _: parameter.sum(), loop.Plan(1, 0.1, 1), tmp_path)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(DataError, match="not a number"):
        loop.fit("x", {"p": parameter}, lambda _: parameter.sum() / 0, loop.Plan(1, 0.1, 1), tmp_path, quiet=True)


@pytest.mark.slow
def test_a_small_model_learns_to_read_pictures_and_not_to_guess(
    session: GraphSession, found: dict[str, list[Conversation]], drawn: Pictures, small: dict[str, Any], tmp_path: Path
) -> None:
    wider = {"text_hidden": 64, "text_feed_forward": 128, "text_layers": 2}
    config = load(
        "tiny", steps=150, batch=8, learning_rate=3e-3, readings_first=150, log_every=50, warmup=5, turns_each=1,
        shape={**small["shape"], **wider}, reading_templates=["dialogue/reading"],
    )  # fmt: skip
    some = found["train"][:8]
    texts = [t.question + t.answer for c in some for t in c.turns]
    model, processor = vlm.build(config.shape, alphabet(texts, session.inventory), 1)
    encoder = Encoder(processor)
    run.train_dialogue(model, encoder, config, run.Sampler(config, some, drawn), tmp_path, True)
    report = evaluate(model, encoder, Grader(session.grammar, "zh", some), some, drawn, tokens=40)
    assert report["facts"]["whole"]["share"] >= 0.75
    assert report["blank_picture"]["whole"]["share"] <= 0.25


def _command(session: GraphSession, cache: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "training.recipes.dialogue", "--config", "tiny", "--log-every", "1", "--workspace",
            str(session.workspace.root), "--cache", str(cache), "--out", str(out), *more]  # fmt: skip


def _losses(out: Path) -> dict[int, float]:
    rows = map(json.loads, (out / "log.jsonl").read_text("utf-8").splitlines())
    return {row["step"]: row["loss"] for row in rows}


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one_also_with_divided_weights(
    session: GraphSession, cache: Path, tmp_path: Path
) -> None:
    def losses(name: str, processes: int, steps: str = "3", **more: str) -> list[float]:
        out = tmp_path / name
        command = _command(session, cache, out, "--steps", steps)
        if processes > 1:
            command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes),
                       "--master_addr", "127.0.0.1", "--master_port", "29533", *command[1:]]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1", **more}
        )
        assert done.returncode == 0, done.stderr[-2000:]
        vlm.load(str(out))
        return list(_losses(out).values())

    # what `accelerate launch` sets for FSDP; it starts no group of processes on a CPU, torchrun does
    divided = {"ACCELERATE_USE_FSDP": "true", "ACCELERATE_USE_CPU": "true", "FSDP_VERSION": "2",
               "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP", "FSDP_RESHARD_AFTER_FORWARD": "true",
               "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT"}  # fmt: skip
    one = losses("one", 1)
    assert losses("two", 2) == pytest.approx(one, abs=2e-5)
    assert losses("divided", 2, steps="2", **divided) == pytest.approx(one[:2], abs=2e-4)
    assert [p.name for p in (tmp_path / "divided").glob("checkpoint-sharded-?")] == ["checkpoint-sharded-2"]
    assert losses("divided", 2, **divided) == pytest.approx(one, abs=2e-4)  # it went on
    assert [p.name for p in (tmp_path / "divided").glob("checkpoint-sharded-?")] == ["checkpoint-sharded-3"]


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(session: GraphSession, cache: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(_command(session, cache, whole, "--steps", "40"), check=True, env=environment, capture_output=True)
    process = subprocess.Popen(
        _command(session, cache, killed, "--steps", "40"), env=environment, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while not (killed / "log.jsonl").is_file() or len(_losses(killed)) < 9:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert len(_losses(killed)) < 40
    subprocess.run(_command(session, cache, killed, "--steps", "40"), check=True, env=environment, capture_output=True)
    figures = json.loads((killed / "training.json").read_text("utf-8"))["figures"]
    assert figures["steps"] == 40
    subprocess.run(_command(session, cache, killed, "--steps", "40"), check=True, env=environment, capture_output=True)
    again = json.loads((killed / "training.json").read_text("utf-8"))["figures"]
    assert [again[key] for key in ("steps", "loss", "minutes")] == [
        figures[key] for key in ("steps", "loss", "minutes")
    ]
    # not to the last bit: which pictures the tower looks at together is another matter after the kill
    assert _losses(killed) == pytest.approx(_losses(whole), abs=1e-4)
    one, two = (load_file(out / "model.safetensors") for out in (whole, killed))
    assert all(torch.allclose(one[name].float(), two[name].float(), atol=2e-3) for name in one)

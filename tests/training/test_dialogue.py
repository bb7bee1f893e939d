"""The dialogue recipe at tiny size: configurations, labels, resuming, grading, adapters, bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")
pytest.importorskip("peft", reason="needs the [train] extra")

from safetensors.torch import load_file  # noqa: E402

from guqin_kg.errors import DataError, LimitError, NotFoundError, UsageError  # noqa: E402
from guqin_kg.graph.workspace import init_workspace  # noqa: E402
from guqin_kg.notation.iri import notation_iri  # noqa: E402
from guqin_kg.query.session import GraphSession, open_graph  # noqa: E402
from training.dialogue import loop, records, run, vlm  # noqa: E402
from training.dialogue.config import CONFIGS, DialogueTraining, load, names  # noqa: E402
from training.dialogue.encode import IGNORED, Encoder, answers  # noqa: E402
from training.dialogue.evaluate import evaluate  # noqa: E402
from training.dialogue.grade import Grader, Question  # noqa: E402
from training.dialogue.pictures import Pictures, blank, from_file  # noqa: E402
from training.dialogue.records import Conversation, Turn  # noqa: E402
from training.dialogue.sight import sight_of  # noqa: E402
from training.dialogue.tokenizer import END, alphabet  # noqa: E402
from training.recipes.dialogue import dialogue, measure, seen_only  # noqa: E402

pytestmark = pytest.mark.train
SHAPE = load("tiny").shape
SMALL = {"shape": SHAPE.model_dump(), "batch": 2, "bucket": 1, "steps": 2, "log_every": 1, "picture_size": 48,
         "turns_each": 2, "evaluate_notations": 0, "images_each": 1, "notations": 20, "bf16": False, "warmup": 0,
         "scope": "curated", "rules_notations": 0, "max_minutes": None}  # fmt: skip


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> GraphSession:
    return open_graph(init_workspace(tmp_path_factory.mktemp("dialogue") / "ws"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def found(session: GraphSession, cache: Path) -> dict[str, list[Conversation]]:
    every = records.generate(load("tiny"), session, cache)
    seen_only(every, pictures(session, cache))
    return every


@pytest.fixture(scope="module")
def trained(session: GraphSession, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    dialogue(load("tiny"), out, session, cache=cache, quiet=True, command="guqin train dialogue --config tiny")
    return out


def tiny(found: dict[str, list[Conversation]], session: GraphSession) -> tuple[Any, Encoder]:
    texts = [t.question + t.answer for part in found.values() for c in part for t in c.turns]
    model, processor = vlm.build(SHAPE, alphabet(texts, session.inventory), 1)
    return model, Encoder(processor)


def pictures(session: GraphSession, cache: Path) -> Pictures:
    return Pictures(cache, session.grammar, ("clean",), 48, 1, 1)


def test_a_run_leaves_a_model_that_loads_again_and_a_card_with_facts(trained: Path) -> None:
    about = json.loads((trained / "training.json").read_text("utf-8"))
    assert {"whole", "asked-parts", "jianzi"} <= about["figures"]["evaluation"]["facts"].keys()
    assert about["graph"]
    assert not [p for p in trained.rglob("*") if p.suffix in (".bin", ".pt", ".pkl", ".pth")]
    assert "whole" in (trained / "README.md").read_text("utf-8")
    model, processor = vlm.load(str(trained))
    assert type(model).__name__ == "LlavaForConditionalGeneration"
    (said,) = answers(model, Encoder(processor), [(blank(48), "?")], tokens=4)
    assert isinstance(said, str)


def test_every_configuration_takes_two_steps(session: GraphSession, cache: Path, trained: Path, tmp_path: Path) -> None:
    assert len(names()) == len(list(CONFIGS.glob("*.yaml"))) >= 6
    for name in names():
        config = load(name, **SMALL)
        changes: dict[str, Any] = {"other_share": 0.0}
        if config.base:
            changes["base"] = str(trained)
        config = load(name, **{**SMALL, **changes})
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


def test_an_adapter_loads_over_its_base_and_merges(
    session: GraphSession, cache: Path, trained: Path, tmp_path: Path
) -> None:
    config = load("experiment-1", **{**SMALL, "base": str(trained), "learning_rate": 0.01})
    dialogue(config, tmp_path / "adapter", session, cache=cache, quiet=True)
    dialogue(config, tmp_path / "whole", session, cache=cache, quiet=True, merge=True)
    adapted, processor = vlm.load(str(tmp_path / "adapter"))
    whole, _ = vlm.load(str(tmp_path / "whole"))
    base, _ = vlm.load(str(trained))
    given = Encoder(processor).question(blank(48), "a")
    with torch.no_grad():
        one, two, before = (model.eval()(**given).logits for model in (adapted, whole, base))
    rounding = 0.01  # the whole model is written in half precision
    assert torch.allclose(one, two, atol=rounding)
    assert (one - before).abs().max() > 3 * rounding


def test_only_answers_are_learnt(found: dict[str, list[Conversation]], session: GraphSession) -> None:
    _, encoder = tiny(found, session)
    turns = found["train"][0].turns[:3]
    made = encoder.sample(blank(48), turns)
    labels, ids = made["labels"][0], made["input_ids"][0]
    assert encoder.tokenizer.decode(ids[labels != IGNORED]) == "".join(t.answer + END for t in turns)
    assert (labels[labels != IGNORED] == ids[labels != IGNORED]).all()


def test_too_long_conversations_lose_turns_and_never_the_picture(
    found: dict[str, list[Conversation]], session: GraphSession
) -> None:
    _, encoder = tiny(found, session)
    turns = found["train"][0].turns
    whole = encoder.sample(blank(48), turns)
    encoder.max_tokens = whole["input_ids"].shape[1] // 2
    cut = encoder.sample(blank(48), turns)
    assert cut["input_ids"].shape[1] <= encoder.max_tokens
    image = encoder.tokenizer.convert_tokens_to_ids("<image>")
    assert (cut["input_ids"] == image).sum() == (whole["input_ids"] == image).sum() == 12
    encoder.max_tokens = 5
    with pytest.raises(DataError, match="max_tokens"):
        encoder.sample(blank(48), turns)


def test_readings_are_mixed_in_and_turns_shuffled(
    found: dict[str, list[Conversation]], session: GraphSession, cache: Path
) -> None:
    config = DialogueTraining.model_validate({"picture_size": 48, "batch": 200, "readings_first": 1})
    sampler = run.Sampler(config, found["train"], pictures(session, cache))
    assert {len(sample.turns) for sample in sampler.sample(0)} == {1}
    later = sampler.sample(5)
    single = [sample for sample in later if len(sample.turns) == 1]
    assert 0.3 * 0.7 < len(single) / len(later) < 0.3 * 1.4
    assert {sample.turns[0].template for sample in single} <= set(config.reading_templates)
    assert len({sample.turns[0].template for sample in later if len(sample.turns) > 1}) > 3
    assert sampler.sample(5) == later


def test_dealing_out_by_length_loses_no_sample_and_saves_padding(
    found: dict[str, list[Conversation]], session: GraphSession, cache: Path
) -> None:
    def lengths(bucket: int) -> list[list[int]]:
        config = DialogueTraining.model_validate({"picture_size": 48, "batch": 8, "bucket": bucket, "turns_each": 3})
        sampler = run.Sampler(config, found["train"], pictures(session, cache))
        return [[sample.length for sample in sampler.sample(step)] for step in range(8)]

    def wasted(batches: list[list[int]]) -> float:
        return 1 - sum(map(sum, batches)) / sum(len(batch) * max(batch) for batch in batches)

    dealt, plain = lengths(4), lengths(1)
    assert sorted(map(len, dealt)) == [8] * 8
    for start in (0, 4):  # the batches of a bucket do not overlap
        ranges = sorted((min(batch), max(batch)) for batch in dealt[start : start + 4])
        assert all(high <= low for (_, high), (low, _) in pairwise(ranges))
    assert wasted(dealt) < wasted(plain) * 0.6


def test_kept_features_are_what_the_model_sees_in_the_picture(
    found: dict[str, list[Conversation]], session: GraphSession, cache: Path
) -> None:
    model, encoder = tiny(found, session)
    model.eval()
    image, turns = pictures(session, cache).of(found["train"][0].reading), found["train"][0].turns[:1]
    sight = sight_of(model, encoder.processor, frozen=True)
    assert sight is not None
    assert sight_of(model, encoder.processor, frozen=False) is None
    (seen,) = sight.of(["a"], lambda _: image)
    (again,) = sight.of(["a"], lambda _: pytest.fail("looked at twice"))
    assert torch.equal(seen, again)
    one, two = encoder.sample(image, turns), encoder.sample(seen, turns)
    assert torch.equal(one["input_ids"], two["input_ids"])
    assert torch.equal(one["labels"], two["labels"])
    with torch.no_grad():
        assert torch.allclose(model(**one).logits, model(**two).logits, atol=0.02)


def test_the_tower_is_the_encoder_of_the_recogniser(
    found: dict[str, list[Conversation]], session: GraphSession, trained: Path
) -> None:
    from guqin_kg import resources
    from training.recogniser.bundle import read

    image = pictures(session, trained / "cache").of(found["val"][0].reading)
    model, processor = vlm.load(str(trained))
    pixels = processor.image_processor(images=[image], return_tensors="pt")["pixel_values"]
    recogniser = read(resources.folder("models") / "recogniser")[0].float().eval()
    model.eval()
    with torch.no_grad():
        mine, theirs = vlm.vision_tower(model)(pixels).last_hidden_state[0], recogniser.encode(pixels)[0]
    # the second token holds the four cells right of the first four, row after row
    assert torch.allclose(mine[1].unflatten(0, (4, -1)), theirs[[2, 3, 8, 9]], atol=0.02)
    assert torch.allclose(mine[-1].unflatten(0, (4, -1)), theirs[[40, 41, 46, 47]], atol=0.02)


def test_the_rules_give_notations_beyond_the_lexicon(session: GraphSession, tmp_path: Path) -> None:
    from guqin_kg.notation.lexicon import published

    with pytest.raises(ValueError, match="the number of them"):
        DialogueTraining.model_validate({"scope": "rules"})
    config = load("tiny", scope="rules", notations=40)
    made = records.generate(config, session, tmp_path)
    assert made == records.generate(config, session, tmp_path / "again")
    every = made["train"] + made["val"]
    assert len({c.iri for c in every}) == len(every) == 40
    assert all(c.turns for c in every)
    lexicon = {notation_iri(n, session.grammar) for n in published(session.grammar)}
    assert 5 < sum(c.iri not in lexicon for c in every) < 40
    grader = Grader(session.grammar, "zh", every)
    asked = [q for c in every for q in grader.questions(c)]
    assert all(all(grader.grade(q, q.turn.answer).values()) for q in asked)


def test_notations_by_the_rules_stand_beside_those_of_the_scope(
    session: GraphSession, cache: Path, tmp_path: Path
) -> None:
    alone = dialogue(load("tiny", **SMALL), tmp_path / "alone", session, cache=cache, quiet=True)
    config = load("tiny", **{**SMALL, "rules_notations": 30})
    beside = dialogue(config, tmp_path / "beside", session, cache=cache, quiet=True)
    assert alone["train_notations"] + 12 < beside["train_notations"] <= alone["train_notations"] + 30
    assert beside["held_out_notations"] == alone["held_out_notations"]


def test_muon_steps_the_matrices_of_the_decoder(found: dict[str, list[Conversation]], session: GraphSession) -> None:
    model, _ = tiny(found, session)
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
    found: dict[str, list[Conversation]], session: GraphSession, cache: Path, tmp_path: Path
) -> None:
    def go(out: Path, *steps: int) -> dict[str, Any]:
        model: Any = None
        for count in steps:
            model, encoder = tiny(found, session)
            config = load("tiny", steps=count, turns_each=2, matrix_rate=0.02)
            run.train_dialogue(model, encoder, config, run.Sampler(config, found["train"], pictures(session, cache)),
                               out, True)  # fmt: skip
        return dict(model.named_parameters())

    one, two = go(tmp_path / "one", 4), go(tmp_path / "two", 2, 4)
    assert all(torch.allclose(p, two[name], atol=1e-6) for name, p in one.items())
    start = dict(tiny(found, session)[0].named_parameters())
    name = next(name for name in start if "q_proj" in name and "vision" not in name)
    assert not torch.allclose(one[name], start[name], atol=1e-3)


def test_splits_share_no_notation(found: dict[str, list[Conversation]]) -> None:
    assert found["train"]
    assert found["val"]
    assert not {c.iri for c in found["train"]} & {c.iri for c in found["val"]}


def test_an_interrupted_run_ends_like_an_uninterrupted_one(
    found: dict[str, list[Conversation]], session: GraphSession, cache: Path, tmp_path: Path
) -> None:
    def go(out: Path, *steps: int) -> Any:
        model, encoder = tiny(found, session)
        for count in steps:
            config = load("tiny", steps=count, turns_each=2)
            model, encoder = tiny(found, session)  # a new process knows nothing but the checkpoint
            run.train_dialogue(model, encoder, config, run.Sampler(config, found["train"], pictures(session, cache)),
                               out, True)  # fmt: skip
        return model

    one, two = go(tmp_path / "one", 4), go(tmp_path / "two", 2, 4)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_frozen_tower_stays_as_it_is(
    found: dict[str, list[Conversation]], session: GraphSession, cache: Path, tmp_path: Path
) -> None:
    model, encoder = tiny(found, session)
    before = {n: p.clone() for n, p in vlm.vision_tower(model).named_parameters()}
    config = load("tiny", steps=1)
    run.train_dialogue(model, encoder, config, run.Sampler(config, found["train"], pictures(session, cache)),
                       tmp_path, True)  # fmt: skip
    assert all(torch.equal(before[n], p) for n, p in vlm.vision_tower(model).named_parameters())


def test_the_reference_answers_get_full_marks_and_answers_about_another_notation_do_not(
    found: dict[str, list[Conversation]], session: GraphSession
) -> None:
    everything = [c for part in found.values() for c in part]
    grader = Grader(session.grammar, "zh", everything)
    asked = [q for c in everything for q in grader.questions(c)]
    facts = {fact for q in asked for fact in q.facts}
    assert {"whole", "string", "asked-string", "asked-hui", "asked-sound", "jianzi", "false-premise"} <= facts
    for question in asked:
        marks = grader.grade(question, question.turn.answer)
        assert all(marks.values()), (question.turn, marks)
        assert not any(grader.grade(question, "").values())


def test_grading_tells_which_fact_is_wrong(session: GraphSession) -> None:
    grader = Grader(session.grammar, "zh")
    turn = Turn("?", "", "dialogue/reading")
    question = Question(Conversation("", "大四擘四", (turn,)), turn, ("whole",))
    marks = grader.grade(question, "这是减字谱里的“大四按七”。")  # what the published model said
    assert marks == {"whole": False, "finger": True, "hui": True, "string": False, "technique": False, "sound": True}
    assert not any(grader.grade(question, "这是一个汉字。").values())  # no reading: nothing can be believed
    marks = grader.grade(question, "读作“大四挑七”。")
    assert marks == {"whole": False, "finger": True, "hui": True, "string": False, "technique": False, "sound": True}
    assert all(grader.grade(question, "全写读作“大指四徽擘四弦”。").values())


def test_other_pictures_must_be_refused(session: GraphSession) -> None:
    grader = Grader(session.grammar, "zh")
    (question,) = grader.other_questions(1)
    assert grader.grade(question, "这不是减字谱的谱字，读不出弹法。") == {"other-refused": True}
    assert grader.grade(question, "读作“大九勾四”。") == {"other-refused": False}


def test_measuring_asks_held_out_notations_and_a_blank_picture(
    session: GraphSession, trained: Path, found: dict[str, list[Conversation]], cache: Path
) -> None:
    folder = next(
        p for p in cache.glob("dialogues-*") if '"set":"twenty-two"' in (p / "train.jsonl").read_text("utf-8")
    )
    report = measure(str(trained), session, data=folder, notations=1, cache=cache)
    assert report["notations"] == 1
    assert report["facts"]["whole"]["asked"] == 1
    assert report["blank_picture"]["whole"]["asked"] == 1
    assert report["loss"]["whole_conversations"] > 0
    assert report["loss"]["one_turn_alone"] > 0


def test_measuring_asks_about_labelled_crops_of_held_out_notations_only(
    session: GraphSession, trained: Path, found: dict[str, list[Conversation]], cache: Path, tmp_path: Path
) -> None:
    held, known = found["val"][0].reading, found["train"][0].reading
    labels = tmp_path / "labels.jsonl"
    rows = []
    for at, reading in enumerate((held, known, held)):
        blank(40).save(tmp_path / f"{at}.png")
        rows.append(json.dumps({"file": f"{at}.png", "reading": reading}, ensure_ascii=False))
    labels.write_text("\n".join(rows), "utf-8")
    folder = next(
        p for p in cache.glob("dialogues-*") if '"set":"twenty-two"' in (p / "train.jsonl").read_text("utf-8")
    )
    report = measure(str(trained), session, data=folder, crops=labels, notations=5, cache=cache)
    assert report["notations"] == 2  # both pictures of the held-out one, none of the other
    assert report["facts"]["whole"]["asked"] == 2
    assert {row["reading"] for row in report["wrong"]} <= {held}
    labels.write_text(rows[1], "utf-8")
    with pytest.raises(NotFoundError, match="these crops"):
        measure(str(trained), session, data=folder, crops=labels, notations=5, cache=cache)


def test_a_later_stage_can_see_with_the_encoder_of_a_later_recogniser(
    session: GraphSession, cache: Path, trained: Path, tmp_path: Path
) -> None:
    model, _ = vlm.load(str(trained))
    tower = vlm.vision_tower(model)
    before = {name: value.clone() for name, value in tower.state_dict().items()}
    with torch.no_grad():
        for value in tower.parameters():
            value.add_(1.0)
    vlm.see_with(model, "bundled")
    after = tower.state_dict()
    assert all(torch.allclose(before[name], after[name], atol=1e-2) for name in before)  # kept in half precision
    with pytest.raises(DataError, match="no recogniser"):
        vlm.see_with(model, str(tmp_path))
    with pytest.raises(DataError, match="our own tower"):
        vlm.see_with(torch.nn.ModuleDict({"vision_tower": torch.nn.Linear(1, 1)}), "bundled")
    for without in ({}, {"base": "bundled", "lora": {"rank": 2}}):  # an adapter would be loaded over the old tower
        path = tmp_path / "mine.yaml"
        path.write_text(json.dumps({"tower": "bundled", **without}), "utf-8")
        with pytest.raises(UsageError, match="tower"):
            load(path)
    renewed = load("further", **{**SMALL, "base": str(trained), "tower": "bundled", "other_share": 0.0})
    assert dialogue(renewed, tmp_path / "renewed", session, cache=cache, quiet=True)["steps"] == 2
    assert json.loads((tmp_path / "renewed" / "training.json").read_text("utf-8"))["config"]["tower"] == "bundled"


def test_bad_input_is_said_plainly(session: GraphSession, trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("batchh: 3\nlora: {rnk: 2}\nsteps: 0\n", "utf-8")
    with pytest.raises(UsageError) as caught:
        load(path)
    for part in ("batchh", "'batch'", "lora.rnk", "'rank'", "steps"):
        assert part in str(caught.value)
    with pytest.raises(NotFoundError, match="no dialogues"):
        records.read_folder(tmp_path)
    (tmp_path / "train.jsonl").write_text("", "utf-8")
    with pytest.raises(DataError, match="no conversation"):
        records.read_folder(tmp_path)
    (tmp_path / "train.jsonl").write_text('{"set": "six"}\n', "utf-8")
    with pytest.raises(DataError, match=r"train\.jsonl:1"):
        records.read_folder(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    with pytest.raises(DataError, match="picture"):
        from_file(tmp_path / "broken.png", 32)
    with pytest.raises(NotFoundError):
        vlm.load(str(tmp_path / "nothing"))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.json").write_text("{}", "utf-8")
    with pytest.raises(DataError, match="cannot load"):
        vlm.load(str(tmp_path / "bad"))


def test_a_run_that_would_not_fit_is_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
    found: dict[str, list[Conversation]], session: GraphSession, cache: Path, tmp_path: Path
) -> None:
    wider = {"text_hidden": 64, "text_feed_forward": 128, "text_layers": 2}
    config = load(
        "tiny", steps=150, batch=8, learning_rate=3e-3, readings_first=150, log_every=50, warmup=5, turns_each=1,
        shape={**SHAPE.model_dump(), **wider}, reading_templates=["dialogue/reading"],
    )  # fmt: skip
    some, drawn = found["train"][:8], pictures(session, cache)
    texts = [t.question + t.answer for c in some for t in c.turns]
    model, processor = vlm.build(config.shape, alphabet(texts, session.inventory), 1)
    encoder = Encoder(processor)
    run.train_dialogue(model, encoder, config, run.Sampler(config, some, drawn), tmp_path, True)
    report = evaluate(model, encoder, Grader(session.grammar, "zh", some), some, drawn, tokens=40)
    assert report["facts"]["whole"]["share"] >= 0.75
    assert report["blank_picture"]["whole"]["share"] <= 0.25


def test_an_adapter_of_another_vocabulary_or_base_is_refused(
    session: GraphSession, cache: Path, trained: Path, tmp_path: Path
) -> None:
    config = load("experiment-1", **{**SMALL, "base": str(trained)})
    dialogue(config, tmp_path / "adapter", session, cache=cache, quiet=True)
    path = tmp_path / "adapter" / "adapter.json"
    about = json.loads(path.read_text("utf-8"))
    assert about["graph"] == session.content_hash
    for key, word in (("vocabulary", "vocabulary"), ("base_weights", "another base")):
        path.write_text(json.dumps({**about, key: "0" * 32}), "utf-8")
        with pytest.raises(UsageError, match=word):
            vlm.load(str(tmp_path / "adapter"))
    path.write_text(json.dumps(about), "utf-8")
    vlm.load(str(tmp_path / "adapter"))


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
    def losses(name: str, processes: int, **more: str) -> list[float]:
        out = tmp_path / name
        command = _command(session, cache, out, "--steps", "3")
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
    assert losses("divided", 2, **divided) == pytest.approx(one, abs=2e-4)


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
    # not to the last bit: which pictures the tower looks at together is another matter after the kill
    assert _losses(killed) == pytest.approx(_losses(whole), abs=1e-4)
    one, two = (load_file(out / "model.safetensors") for out in (whole, killed))
    assert all(torch.allclose(one[name].float(), two[name].float(), atol=2e-3) for name in one)


def test_the_bundled_model_is_small_and_reads_notations_it_was_not_trained_on(
    session: GraphSession, found: dict[str, list[Conversation]], cache: Path
) -> None:
    folder = Path(vlm.place_of("bundled"))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 40_000_000
    assert "Held-out notations" in (folder / "README.md").read_text("utf-8")
    model, processor = vlm.load("bundled")
    held = records.generate(load("tiny", scope="lexicon", notations=60), session, cache)["val"]
    drawn = Pictures(cache, session.grammar, ("clean",), 96, 1, 1)
    held = [c for c in held if drawn.drawable(c.reading)][:10]
    grader, encoder = Grader(session.grammar, "zh"), Encoder(processor)
    asked = [q for c in held for q in grader.questions(c) if q.facts[0] == "whole"]
    said = answers(model, encoder, [(drawn.of(c.reading), q.turn.question) for c, q in zip(held, asked, strict=True)])
    marks = [mark for q, answer in zip(asked, said, strict=True) for mark in grader.grade(q, answer).values()]
    assert len(asked) >= 5
    assert sum(marks) / len(marks) > 0.8, list(zip((c.reading for c in held), said, strict=True))

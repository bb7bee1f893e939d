"""Conversations and samples: splits, what is learnt of them, how they are mixed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from pathlib import Path
from threading import Event, current_thread, get_ident, main_thread
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")
pytest.importorskip("peft", reason="needs the [train] extra")

from guqin_kg.dialogue.generate import split_of  # noqa: E402
from guqin_kg.errors import DataError, LimitError  # noqa: E402
from guqin_kg.graph.workspace import init_workspace  # noqa: E402
from guqin_kg.notation.iri import notation_iri  # noqa: E402
from guqin_kg.notation.parse import parse  # noqa: E402
from guqin_kg.query.library import QueryLibrary  # noqa: E402
from guqin_kg.query.session import GraphSession  # noqa: E402
from training.dialogue import records, run  # noqa: E402
from training.dialogue.config import DialogueTraining, load  # noqa: E402
from training.dialogue.encode import IGNORED, Encoder  # noqa: E402
from training.dialogue.grade import Grader  # noqa: E402
from training.dialogue.pictures import Pictures, blank  # noqa: E402
from training.dialogue.records import Conversation  # noqa: E402
from training.dialogue.sight import sight_of  # noqa: E402
from training.dialogue.tokenizer import END  # noqa: E402

pytestmark = pytest.mark.train
Fresh = Callable[[], tuple[Any, Encoder]]


def test_splits_share_no_notation(found: dict[str, list[Conversation]]) -> None:
    assert found["train"]
    assert found["val"]
    assert not {c.iri for c in found["train"]} & {c.iri for c in found["val"]}


def test_words_alone_are_trained_on_and_never_asked_about(
    found: dict[str, list[Conversation]], session: GraphSession
) -> None:
    def alone(part: str) -> list[str]:
        return [c.iri for c in found[part] if records.single(parse(c.reading, session.grammar), session.grammar)]

    assert not alone("val")
    assert {split_of(iri) for iri in alone("train")} == {"train", "val"}
    assert {split_of(c.iri) for c in found["val"]} == {"val"}


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


def test_another_template_or_query_makes_the_dialogues_anew(session: GraphSession, tmp_path: Path) -> None:
    from guqin_kg import resources

    config, cache = load("tiny"), tmp_path / "cache"
    own = GraphSession(init_workspace(tmp_path / "ws"), session.generation)
    first = records.generate(config, own, cache)
    (kept,) = cache.iterdir()
    assert records.generate(config, own, cache) == first
    assert list(cache.iterdir()) == [kept]
    name = "dialogue/reading.zh.j2"
    text = (resources.folder("templates") / name).read_text("utf-8").replace("自左而右", "从左到右")
    mine = own.workspace.root / "templates" / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text(text, "utf-8")
    second = records.generate(config, own, cache)

    def said(found: dict[str, list[Conversation]]) -> str:
        return "".join(turn.answer for c in found["train"] for turn in c.turns)

    assert said(first).count("自左而右") == said(second).count("从左到右") > 0
    assert "自左而右" not in said(second)
    mine.unlink()
    assert records.generate(config, own, cache) == first
    query = next(path for path in resources.files("sparql", "*.rq") if path.name.startswith("notation-head."))
    before = records._templates(config, own, "six").digest
    changed = tmp_path / "sparql"
    shutil.copytree(resources.folder("sparql"), changed)
    place = changed / query.relative_to(resources.folder("sparql"))
    place.write_text(place.read_text("utf-8") + "\n# another\n", "utf-8")
    own.library = QueryLibrary([changed])
    assert records._templates(config, own, "six").digest != before


def test_two_runs_with_one_cache_do_not_disturb_each_other(
    session: GraphSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, real = load("tiny"), records._written
    wanted = records.generate(config, session, tmp_path / "alone")
    cache, begun, second_began, first_ended = tmp_path / "cache", Event(), Event(), Event()

    def interleaved(*arguments: Any) -> Any:
        rows = real(*arguments)
        if current_thread() is main_thread():
            second_began.set()
            assert first_ended.wait(60)
        else:
            yield from islice(rows, 15)
            begun.set()
            assert second_began.wait(60)
        yield from rows

    def first() -> dict[str, list[Conversation]]:
        try:
            return records.generate(config, session, cache)
        finally:
            first_ended.set()

    monkeypatch.setattr(records, "_written", interleaved)
    monkeypatch.setattr(os, "getpid", get_ident)
    with ThreadPoolExecutor(1) as other:
        found = other.submit(first)
        assert begun.wait(60)
        assert records.generate(config, session, cache) == wanted
        assert found.result() == wanted
    assert len(list(cache.iterdir())) == 1


def test_half_written_dialogues_are_not_taken_for_whole_ones(
    session: GraphSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, real = load("tiny"), records._written

    def stopped(*arguments: Any) -> Any:
        yield next(real(*arguments))
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(records, "_written", stopped)
        with pytest.raises(KeyboardInterrupt):
            records.generate(config, session, tmp_path)
    assert not list(tmp_path.iterdir())
    found = records.generate(config, session, tmp_path)
    (kept,) = tmp_path.iterdir()
    (kept / "val.jsonl").unlink()
    with pytest.raises(LimitError, match="cannot write the dialogues"):
        records.generate(config, session, tmp_path)
    shutil.rmtree(kept)
    assert records.generate(config, session, tmp_path) == found


def test_only_answers_are_learnt(found: dict[str, list[Conversation]], fresh: Fresh) -> None:
    _, encoder = fresh()
    turns = found["train"][0].turns[:3]
    made = encoder.sample(blank(48), turns)
    labels, ids = made["labels"][0], made["input_ids"][0]
    assert encoder.tokenizer.decode(ids[labels != IGNORED]) == "".join(t.answer + END for t in turns)
    assert (labels[labels != IGNORED] == ids[labels != IGNORED]).all()


def test_too_long_conversations_lose_turns_and_never_the_picture(
    found: dict[str, list[Conversation]], fresh: Fresh
) -> None:
    _, encoder = fresh()
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


def test_readings_are_mixed_in_and_turns_shuffled(found: dict[str, list[Conversation]], drawn: Pictures) -> None:
    config = DialogueTraining.model_validate({"picture_size": 48, "batch": 200, "readings_first": 1})
    sampler = run.Sampler(config, found["train"], drawn)
    assert {len(sample.turns) for sample in sampler.sample(0)} == {1}
    later = sampler.sample(5)
    single = [sample for sample in later if len(sample.turns) == 1]
    assert 0.3 * 0.7 < len(single) / len(later) < 0.3 * 1.4
    assert {sample.turns[0].template for sample in single} <= set(config.reading_templates)
    assert len({sample.turns[0].template for sample in later if len(sample.turns) > 1}) > 3
    assert sampler.sample(5) == later


def test_dealing_out_by_length_loses_no_sample_and_saves_padding(
    found: dict[str, list[Conversation]], drawn: Pictures
) -> None:
    def lengths(bucket: int) -> list[list[int]]:
        config = DialogueTraining.model_validate({"picture_size": 48, "batch": 8, "bucket": bucket, "turns_each": 3})
        sampler = run.Sampler(config, found["train"], drawn)
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
    found: dict[str, list[Conversation]], drawn: Pictures, fresh: Fresh
) -> None:
    model, encoder = fresh()
    model.eval()
    image, turns = drawn.of(found["train"][0].reading), found["train"][0].turns[:1]
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

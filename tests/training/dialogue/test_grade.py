"""Answers parsed back and compared with the graph."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")
pytest.importorskip("peft", reason="needs the [train] extra")

from guqin_kg.errors import NotFoundError  # noqa: E402
from guqin_kg.query.session import GraphSession  # noqa: E402
from training.dialogue import records  # noqa: E402
from training.dialogue.config import load  # noqa: E402
from training.dialogue.grade import Grader, Question  # noqa: E402
from training.dialogue.pictures import blank  # noqa: E402
from training.dialogue.records import Conversation, Turn  # noqa: E402
from training.recipes.dialogue import measure, telling  # noqa: E402

pytestmark = pytest.mark.train


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_reference_answers_get_full_marks_and_no_answer_does_not(
    session: GraphSession, tmp_path: Path, lang: str
) -> None:
    found = records.generate(load("tiny", lang=lang, notations=40), session, tmp_path)
    everything = [c for part in found.values() for c in part]
    grader = Grader(session.grammar, lang, everything)
    asked = [q for c in everything for q in grader.questions(c)]
    facts = {fact for q in asked for fact in q.facts}
    assert {"whole", "string", "asked-string", "asked-hui", "asked-sound", "jianzi", "false-premise"} <= facts
    for question in asked:
        marks = grader.grade(question, question.turn.answer)
        assert all(marks.values()), (question.turn, marks)
        assert not any(grader.grade(question, "").values())
    # of another notation: not the same string, not the same place
    by_fact = {fact: [q for q in asked if q.facts[0] == fact] for fact in facts}
    for fact in ("asked-string", "asked-hui", "asked-parts"):
        pairs = [(a, b) for a in by_fact[fact] for b in by_fact[fact] if a.turn.answer != b.turn.answer]
        assert sum(grader.grade(a, b.turn.answer)[fact] for a, b in pairs) < len(pairs) / 2


def test_an_ordinary_character_is_not_praised_as_a_jianzi(session: GraphSession) -> None:
    grader = Grader(session.grammar, "zh")
    turn = Turn("这是一个普通的汉字吗？", "", "dialogue/not-hanzi")
    question = Question(Conversation("", "大九勾四", (turn,)), turn, ("jianzi",))
    for said in ("这是一个普通汉字。", "是汉字“好”。", "asdf", "这不是减字谱的谱字。", "“勾”不是谱字。"):
        assert grader.grade(question, said) == {"jianzi": False}
    assert grader.grade(question, "不是普通汉字。它是减字谱的谱字“大九勾四”。") == {"jianzi": True}


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


@pytest.fixture(scope="module")
def generated(session: GraphSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the conversations that ``found`` has."""
    place = tmp_path_factory.mktemp("generated")
    records.generate(load("tiny"), session, place)
    return next(place.glob("dialogues-*"))


def test_measuring_asks_held_out_notations_and_a_blank_picture(
    session: GraphSession, cache: Path, trained: Path, generated: Path
) -> None:
    report = measure(str(trained), session, data=generated, notations=1, cache=cache)
    assert report["notations"] == 1
    assert report["facts"]["whole"]["asked"] == 1
    assert report["blank_picture"]["whole"]["asked"] == 1
    assert report["loss"]["whole_conversations"] > 0
    assert report["loss"]["one_turn_alone"] > 0


def test_measuring_asks_about_labelled_crops_of_held_out_notations_only(
    session: GraphSession,
    cache: Path,
    found: dict[str, list[Conversation]],
    trained: Path,
    generated: Path,
    tmp_path: Path,
) -> None:
    held, known = found["val"][0].reading, found["train"][0].reading
    labels = tmp_path / "labels.jsonl"
    rows = []
    for at, reading in enumerate((held, known, held)):
        blank(40).save(tmp_path / f"{at}.png")
        rows.append(json.dumps({"file": f"{at}.png", "reading": reading}, ensure_ascii=False))
    labels.write_text("\n".join(rows), "utf-8")
    report = measure(str(trained), session, data=generated, crops=labels, notations=5, cache=cache)
    assert report["notations"] == 2  # both pictures of the held-out one, none of the other
    assert report["facts"]["whole"]["asked"] == 2
    assert {row["reading"] for row in report["wrong"]} <= {held}
    labels.write_text(rows[1], "utf-8")
    with pytest.raises(NotFoundError, match="these crops"):
        measure(str(trained), session, data=generated, crops=labels, notations=5, cache=cache)


def test_what_a_drawn_picture_cannot_tell_is_not_asked(session: GraphSession, tmp_path: Path) -> None:
    drawn = [Conversation(f"x:{reading}", reading, ()) for reading in ("大九勾四", "撮三四", "小撮三四", "散挑五")]
    kept, left_out = telling(drawn, session.grammar)
    assert [c.reading for c in kept] == ["大九勾四", "散挑五"]
    assert left_out == 2
    files = [replace(c, image=tmp_path / "crop.png") for c in drawn]
    assert telling(files, session.grammar) == (files, 0), "the label of a file says what is meant"

"""Real scores: numbered notation beside the tablature, two prints of one piece, a print of 1457."""

from __future__ import annotations

from pathlib import Path

import pytest

from guqin_kg.notation.grammar import Grammar, default_grammar
from guqin_kg.score.context import Interpretation, interpret
from guqin_kg.score.read import read_score
from guqin_kg.score.report import report_json


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return default_grammar()


@pytest.fixture(scope="module")
def scores(shared_data: Path) -> Path:
    return shared_data / "knowledge" / "scores"


def test_spring_dawn_agrees_with_its_numbered_notation(grammar: Grammar, scores: Path) -> None:
    data = report_json(interpret(read_score(scores / "chunxiaoyin_jianzinote.csv"), grammar), grammar)
    assert data["counts"]["unread"] == 0
    # the transcription writes two pitches where 如一 asks for one, and a ring finger where 抓起 asks for the thumb
    assert [(f["rule"], f["severity"], f["no"]) for f in data["findings"]] == [
        ("V25", "warning", "82"),
        ("V25", "warning", "213"),
        ("V21", "warning", "280"),
    ]
    found = data["comparison"]
    assert found["notes"]["compared"] >= 145
    assert found["notes"]["compared"] - found["notes"]["within_tolerance"] == 5
    assert found["notes"]["by_sound"]["open"]["within_tolerance"] == found["notes"]["by_sound"]["open"]["compared"]
    assert (
        found["notes"]["by_sound"]["stopped"]["within_tolerance"] == found["notes"]["by_sound"]["stopped"]["compared"]
    )
    assert found["slides"]["within_tolerance"] == found["slides"]["compared"] >= 30
    (slip,) = found["slips"]
    assert (slip["written"], slip["instead"], slip["no"]) == ("十二", "十三", "115")
    assert slip["notes"] == ["115", "116", "117", "118", "119"]
    other = [m for m in found["misses"] if m["slip"] is None]
    assert [(m["no"], m["octaves"]) for m in other] == [("280", -1)]


def test_every_note_has_a_pitch_or_a_statement(grammar: Grammar, scores: Path) -> None:
    seen = 0
    for path in sorted(scores.glob("*.csv")):
        found = interpret(read_score(path), grammar)
        for event in found.events:
            seen += 1
            said = event.result.left_open or event.error
            assert said or all(s.midi(found.strings) is not None for s in event.result.sounds), event.text
    assert seen > 900


def _pitches(found: Interpretation, first: int, count: int) -> list[frozenset[tuple[int | None, int]]]:
    out = []
    for event in found.events[first:]:
        sounds = [(s.string, round(m)) for s in event.result.sounds if (m := s.midi(found.strings)) is not None]
        if sounds:
            out.append(frozenset(sounds))
    return out[:count]


def test_two_hands_of_one_piece_sound_alike(grammar: Grammar, scores: Path) -> None:
    """One writes 就撮六三 where the other writes 撮大七六散三: in context they are the same chord."""
    one = interpret(read_score(scores / "jiukuang_alephpi_section1.csv"), grammar)
    other = interpret(read_score(scores / "jiukuang_jianzinote.csv"), grammar)
    a, b = _pitches(one, 0, 13), _pitches(other, 0, 13)  # then the two realisations part
    assert len(a) == 13
    assert a == b


def test_early_print_reads_with_ranges(grammar: Grammar, scores: Path) -> None:
    found = interpret(read_score(scores / "wushenqinpu_pages1-3.csv"), grammar, tradition="between")
    data = report_json(found, grammar)
    assert data["counts"]["events"] > 500
    assert data["counts"]["unread"] < 0.01 * data["counts"]["events"]
    ranged = [p for e in data["events"] for p in e.get("pitches", ()) if "range" in p]
    assert ranged
    assert data["notes"]
    modern = report_json(interpret(read_score(scores / "wushenqinpu_pages1-3.csv"), grammar), grammar)
    assert any("五声琴谱" in note for note in modern["notes"]), "the file names a print of another tradition"
    by_source = interpret(read_score(scores / "wushenqinpu_pages1-3.csv"), grammar, tradition="五声琴谱")
    assert by_source.tradition == "between"

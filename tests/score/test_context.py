"""Scores in context: what is carried, scopes, asides, repeats, breaches of rules, each with its place."""

from __future__ import annotations

import pytest

from guqin_kg.errors import NotFoundError
from guqin_kg.notation.grammar import Grammar, default_grammar
from guqin_kg.score.context import Interpretation, interpret
from guqin_kg.score.read import read_text
from guqin_kg.sound.tuning import note_name


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return default_grammar()


def read(grammar: Grammar, text: str, **options: str) -> Interpretation:
    return interpret(read_text(text), grammar, **options)  # type: ignore[arg-type]


def notes(found: Interpretation) -> list[str]:
    return [
        f"{s.string}:{note_name(m) if (m := s.midi(found.strings)) is not None else '?'}"
        for e in found.events
        for s in e.result.sounds
    ]


def rules(found: Interpretation) -> list[tuple[str, str | None]]:
    return [(f.rule, e.row.number if e else None) for e, f in found.findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # open tone: carried to the very next bare notation, and on from there
        ("散挑七 勾五", ["7:D3", "5:A2"]),
        ("散勾二 托七 勾五 大九挑七 勾六", ["2:D2", "7:D3", "5:A2", "7:A3", "6:G3"]),
        # left hand: stays where it is, after a slide where it arrived
        ("大九挑七 勾五", ["7:A3", "5:E3"]),
        ("名十挑六 上九 就挑七", ["6:F3", "6:G3", "7:A3"]),
        ("散勾三 就勾四", ["3:F2", "4:?"]),
        ("大九挑七 散勾三 就挑六", ["7:A3", "3:F2", "6:G3"]),
        # moves that return leave the place as it was
        ("大九挑七 进复 挑六", ["7:A3", "6:G3"]),
        ("大九挑七 吟 挑六", ["7:A3", "6:G3"]),
        # technique: carried to a bare string number
        ("名十挑五 四", ["5:D3", "4:C3"]),
        # left-hand sounds act on the string that sounds
        ("大九挑七 抓起", ["7:A3", "7:D3"]),
        ("大九挑七 名十掐起", ["7:A3", "7:G3"]),
        ("名十勾六 大九罨六 挑七", ["6:F3", "6:G3", "7:A3"]),
        ("名十勾六 大九罨 掐起", ["6:F3", "6:G3", "6:F3"]),
        # a pull-off leaves the string open
        ("大九挑七 抓起 勾五", ["7:A3", "7:D3", "5:A2"]),
        # pairs: each string as it sounded last
        ("散打三 大七抹六 就撮六三", ["3:F2", "6:C4", "6:C4", "3:F2"]),
        # harmonics between their marks
        ("泛起 大七勾二 挑七 泛止 大七勾二", ["2:D3", "7:D4", "2:D3"]),
        ("泛起 大九勾二 泛止 大九勾二", ["2:A3", "2:A2"]),
        # figures on the two sounds before
        ("名十挑六 散勾三 如一声", ["6:F3", "3:F2", "6:F3", "3:F2"]),
        # a run finished by the next notation
        ("散拂一 至三", ["1:C2", "2:D2", "3:F2"]),
    ],
)
def test_what_is_carried(grammar: Grammar, text: str, expected: list[str]) -> None:
    assert notes(read(grammar, text)) == expected


def test_carried_fields_are_named(grammar: Grammar) -> None:
    found = read(grammar, "名十挑五 四")
    assert found.events[1].result.carried == {"technique": "挑", "position": "3/4", "left_finger": "名"}
    assert found.events[1].result.sounds[0].origin == 0


@pytest.mark.parametrize(
    ("text", "rule", "number"),
    [
        ("散勾三 就勾四", "V27", "2"),
        ("勾四", "V05", "1"),
        ("泛起 大七勾二", "V08", "1"),
        ("泛起 大七勾二 泛起 泛止", "V08", "3"),
        ("大七勾二 泛止", "V08", "2"),
        ("大七勾二 从「再作", "V28", "2"),
        ("大九挑七 上十", "V29", "2"),
        ("大九挑七 下七", "V29", "2"),
        ("大九挑七 上九", "V29", "2"),
        ("散挑七 吟", "V30", "2"),
        ("泛起 大七勾二 上六 泛止", "V30", "3"),
        ("散挑七 大九罨七", "V19", "2"),
        ("大十挑七 名九掐起", "V20", "2"),  # the thumb lies below
        ("大九挑七 中十掐起", "V20", "2"),  # not the ring finger below
        ("名十挑七 掐起", "V20", "2"),  # no thumb on the string yet
        ("散挑七 抓起", "V21", "2"),  # nothing held
        ("名十勾五 抓起", "V21", "2"),
        ("食十挑七 带起", "V21", "2"),
        ("大九勾四 散挑六 如一声", "V25", "3"),  # D and C
        ("散挑六 散挑七 如一声", "V25", "3"),  # both open
        ("名九勾五 散如一七", "V25", "2"),  # with the sound before
        ("双弹名九五散七", "V25", "1"),
    ],
)
def test_breaches_name_their_place(grammar: Grammar, text: str, rule: str, number: str) -> None:
    assert (rule, number) in rules(read(grammar, text))


@pytest.mark.parametrize(
    "text",
    [
        "散勾三 大九挑七 上七九 下九 吟 名十掐起 带起",
        "大九挑七 跪十掐起",
        "名十勾五 带起",
        "中十勾一 带起",
        "大九挑七 抓起",
        "名十勾五 散挑七 如一声",
        "名十勾五 散如一七",
        "双弹名十五散七",
        "大九勾四 散挑七 如一声",
        "泛起 大七勾二 挑七 泛止",
        "「 散勾三 大九挑六 从「再作",
        "散勾三 从头再作",
        "名十勾六 大九罨六",
        "散挑五 虚罨",
    ],
)
def test_no_breach_where_there_is_none(grammar: Grammar, text: str) -> None:
    assert [f for f in rules(read(grammar, text)) if f[0] != "V05"] == []


def test_what_sounds_as_one_is_computed_in_the_tuning(grammar: Grammar) -> None:
    text = "名十勾五 散挑七 如一声"
    assert "V25" not in {f[0] for f in rules(read(grammar, text))}
    assert ("V25", "3") in rules(read(grammar, text, tuning="蕤宾调"))


def test_a_slide_after_an_open_string_acts_on_the_stopped_one(grammar: Grammar) -> None:
    found = read(grammar, "大九勾四 散挑七 上七九")
    assert found.events[2].result.carried == {"strings": [4]}
    assert notes(found)[-1] == "4:E3"


def test_repeats_are_written_out_for_playing(grammar: Grammar) -> None:
    found = read(grammar, "散勾一 「 散勾二 散勾三 从「再作 散勾四")
    assert found.order == [0, 1, 2, 3, 4, 1, 2, 3, 5]
    assert read(grammar, "散勾一 散勾二 从头再作").order == [0, 1, 2, 0, 1]


def test_unreadable_readings_do_not_stop_the_rest(grammar: Grammar) -> None:
    found = read(grammar, "散勾二 〇〇 挑五")
    assert found.events[1].notation is None
    assert ("reading", "2") in rules(found)
    assert notes(found) == ["2:D2", "5:A2"]


def test_tradition_and_tuning(grammar: Grammar) -> None:
    found = read(grammar, "大七八挑五", tradition="between")
    assert found.events[0].result.sounds[0].midi_range(found.strings) is not None
    assert notes(read(grammar, "散挑五", tuning="蕤宾调")) == ["5:Bb2"]
    with pytest.raises(NotFoundError):
        read(grammar, "散挑五", tradition="x")


def test_touched_place_is_not_carried_as_stopped(grammar: Grammar) -> None:
    found = read(grammar, "泛大七勾四 勾五")
    assert notes(found) == ["4:G3", "5:?"]
    assert "touched" in found.events[1].result.left_open[0]

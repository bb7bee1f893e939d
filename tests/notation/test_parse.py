"""Forms, spellings, ambiguities and errors of readings."""

from __future__ import annotations

import pytest

from guqin_kg.errors import ReadingError
from guqin_kg.notation.grammar import Grammar
from guqin_kg.notation.parse import analyse, parse, parse_cell, parse_json
from guqin_kg.notation.structure import notation_from_json


def test_the_contract_example(grammar: Grammar) -> None:
    out = parse_json("大九绰勾四", grammar)
    assert out["form"] == "simple"
    assert out["sound"] == "stopped"
    assert out["left_finger"] == "大"
    assert out["hui"] == {"hui": 9, "fen": None, "outside": False}
    assert out["ornaments"] == ["绰"]
    assert out["technique"] == "勾"
    assert out["strings"] == [4]
    assert out["notes"] == []
    assert out["components"] == ["大", "九", "绰", "勾", "四"]
    assert out["iri"] == "https://w3id.org/guqin/resource/n-da.9-o.chuo-gou-s4"


def test_a_complex_form_carries_its_notes(grammar: Grammar) -> None:
    out = parse_json("撮大七七散四", grammar)
    assert out["form"] == "complex"
    assert out["technique"] == "撮"
    first, second = out["notes"]
    assert (first["left_finger"], first["hui"]["hui"], first["strings"]) == ("大", 7, [7])
    assert (second["sound"], second["left_finger"], second["strings"]) == ("open", None, [4])


SAME = [
    (
        "大九绰勾四",
        "大九綽勾四",
        "大指九徽绰勾四弦",
        "大指九徽綽勾四弦",
        "大９绰勾４",
        "大9绰勾4",
        " 大 九 绰勾四 ",
        "大指九绰勾四弦",
    ),
    ("名七六抹六", "名指七徽六分抹六弦", "名7.6抹6", "名七徽六抹六", "名七六分抹六弦"),
    ("名外挑四", "名指徽外挑四弦", "名徽外挑四"),
    ("散勾三", "散音勾三弦", "散音句三"),
    ("撮大七六散三", "撮大指七徽六弦散音三弦"),
    ("大十二勾四", "大12勾四", "大指十二徽勾四弦"),
    ("大十徽一勾四", "大指十徽一分勾四弦", "大十徽一分勾四", "大十点一勾四", "大10.1勾四"),
    ("名十注勾三", "按音名指注十徽勾三弦", "名注十勾三"),
    ("擘六", "劈六"),
    ("历七六", "歷七六", "历七弦六弦", "历76"),
    ("泛食七挑七", "食七泛挑七"),
    ("散挑六", "挑散六"),
    ("下九抓起", "下九爪起"),
    ("间勾七", "間勾七"),
    ("「", "左反复"),
]


def test_the_tone_sign_of_the_head_holds_for_both_sides() -> None:
    assert [note.sound for note in parse("散撮七一").notes] == ["open", "open"]
    assert [note.sound for note in parse("泛撮大七七大七四").notes] == ["harmonic", "harmonic"]
    assert [note.sound for note in parse("撮大七七散四").notes] == ["stopped", "open"]


@pytest.mark.parametrize("spellings", SAME, ids=[group[0] for group in SAME])
def test_spellings_give_the_same_structure(spellings: tuple[str, ...], grammar: Grammar) -> None:
    first = parse_json(spellings[0], grammar)
    for other in spellings[1:]:
        out = parse_json(other, grammar)
        assert out["iri"] == first["iri"], other
        assert {k: v for k, v in out.items() if k not in ("reading", "ambiguity", "components")} == {
            k: v for k, v in first.items() if k not in ("reading", "ambiguity", "components")
        }


def test_a_spelling_the_graph_keeps_stays_in_the_components(grammar: Grammar) -> None:
    assert analyse("下九爪起", grammar).components == ["下", "九", "爪起"]
    assert analyse("下九抓起", grammar).components == ["下", "九", "抓起"]
    assert parse("下九爪起", grammar) == parse("下九抓起", grammar)


AMBIGUOUS = [
    ("大十二勾四", "A1", lambda n: n.position.hui == 12),
    ("大十八挑四", "A2", lambda n: (n.position.hui, n.position.fen) == (10, 8)),
    ("名六二抹六", "A3", lambda n: (n.position.hui, n.position.fen, n.strings) == (6, 2, (6,))),
    ("撮名十六散三", "A4", lambda n: (n.notes[0].position.hui, n.notes[0].strings) == (10, (6,))),
    ("撮中十一散三", "A5", lambda n: (n.notes[0].position.hui, n.notes[0].strings) == (10, (1,))),
    ("撮名十八三散五", "A6", lambda n: (n.notes[0].position.fen, n.notes[0].strings) == (8, (3,))),
    ("上七六", "A7", lambda n: (n.form, n.position.fen, n.strings) == ("aside", 6, ())),
    ("二上七六", "A8", lambda n: (n.count, n.position.hui) == ("二", 7)),
    ("大九历七六", "A9", lambda n: (n.position.hui, n.position.fen, n.strings) == (9, None, (7, 6))),
    ("滚六一", "A10", lambda n: n.strings == (6, 1)),
    ("大息", "A11", lambda n: n.form == "standalone"),
    ("大撮六一", "A11", lambda n: n.techniques == ("大撮",)),
    ("勾五", "A12", lambda n: n.sound is None),
    ("大八九勾五", "A13", lambda n: (n.position.hui, n.position.fen) == (8, 9)),
    ("间", "A14", lambda n: n.form == "standalone"),
    ("上九八七", "A15", lambda n: [note.position.hui for note in n.notes] == [9, 8, 7]),
    ("上六七五六", "A15", lambda n: [(x.position.hui, x.position.fen) for x in n.notes] == [(6, 7), (5, 6)]),
    ("上六五", "A15", lambda n: [note.position.hui for note in n.notes] == [6, 5]),
    ("食七泛挑七", "O", lambda n: n.tone == "泛"),
]


@pytest.mark.parametrize(("text", "code", "check"), AMBIGUOUS, ids=[f"{row[1]}-{row[0]}" for row in AMBIGUOUS])
def test_ambiguities_are_decided_by_rule_and_reported(text: str, code: str, check: object, grammar: Grammar) -> None:
    read = analyse(text, grammar)
    assert check(read.notation)  # type: ignore[operator]
    told = {item["rule"]: item for item in read.ambiguity}
    assert code in told
    assert told[code]["zh"]
    assert told[code]["en"]


def test_an_unambiguous_reading_reports_nothing(grammar: Grammar) -> None:
    assert analyse("大九勾四", grammar).ambiguity == []
    assert analyse("大指十徽八分勾四弦", grammar).ambiguity == []


FORMS = {
    "simple": "大九勾四 散勾三 勾三 四 三四 散二 名八五 就挑六 急大九挑七 名十对起 掐起 大八半罨五 至三 拂一至三 "
    "九勾五 大九按三 就按 大九罨间勾四 名十三引勾五 大七八罨 勾剔勾六 勾勾剔勾六 勾间勾四 长锁 打圆 如一声 "
    "双弹勾六 泛七勾四 名八抹注挑六 大七轮七 "
    "虚抓起 绰五 散二如一 大九勾四吟 右反复大九挑七",
    "complex": "撮大七七散四 撮六一 撮七七散四 散撮七五 就撮六三 泛撮六一 反撮六一 齐撮七四 大撮六一 掐撮七五 "
    "拨大七六七散六 撮大七七中七二 拨剌就七散六 索铃名外四三二一大外七六五",
    "aside": "上七九 吟 进复 二上五 淌退七九 抑上七九 虚上六四 注下七九 上九八七 下六中爪起 猱撞上八下九 "
    "分开猱 再作下九 下十急上 外上五六 抓起同声 就下十吟 退复 缓吟 从右反复再作抑上七六",
    "standalone": "分开 同声 少息 泛起 泛止 再作 从头再作 从「再作 从狂再作 从右反复再作 合 掐撮三声 缓 间 。 「",
}


@pytest.mark.parametrize(("form", "texts"), FORMS.items())
def test_families(form: str, texts: str, grammar: Grammar) -> None:
    for text in texts.split():
        assert parse(text, grammar).form == form, text


ERRORS = [
    ("大九勾八", "string-out-of-range", 3, "大九勾七"),
    ("八", "string-out-of-range", 0, None),
    ("散勾九", "string-out-of-range", 2, "散勾七"),
    ("大十四徽勾四", "hui-out-of-range", 1, "大十三勾四"),
    ("大指十四徽勾四弦", "hui-out-of-range", None, "大十三勾四"),
    ("大14勾4", "hui-out-of-range", 1, "大十三勾四"),
    ("散七六勾四", "fen-on-open-string", 2, None),
    ("散七勾四", "hui-on-open-string", 1, None),
    ("散大勾四", "finger-on-open-string", 1, None),
    ("散绰勾三", "attack-on-open-string", 1, None),
    ("大九魔四", "unknown-character", 2, "大九勾四"),
    ("魔九勾四", "unknown-character", 0, "大九勾四"),
    ("大九", "incomplete", 2, None),
    ("撮大七", "incomplete", None, None),
    ("撮七", "incomplete", None, None),
    ("撮七七", "same-string", None, None),
    ("撮散七散七", "same-string", None, None),
    ("大九勾四勾", "unreadable", 4, "大九勾四"),
    ("散五分勾四", "unreadable", 1, "散勾四"),
    ("散九徽五分勾四", "fen-on-open-string", 3, None),
    ("", "empty", 0, None),
    ("   ", "empty", 0, None),
    ("大" * 100, "too-long", 96, None),
    ("泛七六勾四", "fen-on-harmonic", None, None),
]


@pytest.mark.parametrize(("text", "code", "at", "suggestion"), ERRORS, ids=[f"{e[1]}-{e[0][:8]}" for e in ERRORS])
def test_errors_point_and_suggest(
    text: str, code: str, at: int | None, suggestion: str | None, grammar: Grammar
) -> None:
    out = parse_json(text, grammar)
    error = out["error"]
    assert out["reading"] == text
    assert error["code"] == code
    assert error["message"]
    assert isinstance(error["hint"], str)
    assert isinstance(error["at"], int)
    if at is not None:
        assert error["at"] == at
    if suggestion:
        assert error["suggestion"] == suggestion
        assert suggestion in error["hint"]
        parse(suggestion, grammar)


def test_conventions_never_reject(grammar: Grammar) -> None:
    for text in ("擘四", "抹一", "大外勾七", "跪十三挑一", "大二挑一", "历五六", "滚一七", "拂七一", "撮大七七大九四"):
        assert parse(text, grammar).form in ("simple", "complex")


def test_cells_of_several_notes(grammar: Grammar) -> None:
    assert [r.notation.form for r in parse_cell("散二如一 猱", grammar)] == ["simple", "aside"]
    assert len(parse_cell("大九勾四", grammar)) == 1
    with pytest.raises(ReadingError):
        parse_cell("大九勾四 魔", grammar)


def test_hostile_text_is_only_text(grammar: Grammar) -> None:
    for text in ("\x00", "大九勾四\n", "(" * 60, "勾" * 60, "从" * 20, "上" * 90, "𰀁", "🎵", "'; DROP", "\ud800"):
        row = parse_json(text, grammar)
        assert row["reading"] == text
        assert "error" in row or row["form"]


def test_structure_from_json(grammar: Grammar) -> None:
    texts = "大九绰勾四 撮大七七散四 散撮七五 名八抹注挑六 上九八七 大八半擘四 名外挑四 大九十勾三 "
    for text in (texts + "九上勾三 抓起 二上五 从狂再作").split():
        notation = parse(text, grammar)
        assert notation_from_json(parse_json(text, grammar), grammar) == notation
    open_note = {"form": "simple", "sound": "open", "technique": "勾", "strings": [3]}
    assert notation_from_json(open_note, grammar) == parse("散勾三", grammar)
    for bad in (
        {"form": "simple", "technique": "勾", "strings": [8]},
        {"form": "x"},
        {},
        {"form": "simple", "hui": {"hui": 14}},
    ):
        with pytest.raises(ReadingError):
            notation_from_json(bad, grammar)

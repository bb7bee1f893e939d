"""Score files in, MIDI, MusicXML and audio out."""

from __future__ import annotations

from pathlib import Path

import mido
import pytest

from guqin_kg.errors import DataError, GraphSyntaxError, NotFoundError
from guqin_kg.inventory import load_inventory
from guqin_kg.notation.grammar import Grammar, default_grammar, grammar_of
from guqin_kg.score.context import interpret
from guqin_kg.score.export import audio, write_midi, write_musicxml
from guqin_kg.score.jianpu import parse_jianpu
from guqin_kg.score.read import read_music, read_score, read_text
from guqin_kg.score.turtle import write_turtle

PHRASE = "散勾二 托七 名十勾五 上九 吟 撮大七七散四 大九绰勾四"
PIECE = """
@prefix gq: <https://w3id.org/guqin/ontology#> .
@prefix gqr: <https://w3id.org/guqin/resource/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
gqr:piece-x a gq:MusicNotation ; rdfs:label "试"@zh ; gq:tuning gqr:tuning-ruibin ; gq:tradition gqr:tradition-between ;
  gq:hasEvent <https://w3id.org/guqin/resource/piece-x/e1> , <https://w3id.org/guqin/resource/piece-x/e2> .
<https://w3id.org/guqin/resource/piece-x/e1> a gq:ScoreEvent ; gq:eventIndex 1 ; gq:notation gqr:n-a ; gq:section "一" .
<https://w3id.org/guqin/resource/piece-x/e2> a gq:ScoreEvent ; gq:eventIndex 2 ; gq:notation gqr:n-b .
gqr:n-a gq:notationName "散挑五" .
gqr:n-b gq:notationName "大七八挑五" .
"""


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return default_grammar()


def test_table_and_text_are_the_same_score(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "# piece\nno,reading,side_notes\n1,散勾二,少息\n2,大九挑七,缓吟 猱\n", encoding="utf-8"
    )
    score = read_score(tmp_path / "a.csv")
    assert score.comments == ("piece",)
    assert [(r.line, r.number, r.main, r.sides) for r in score.rows] == [
        (3, "1", "散勾二", ("少息",)),
        (4, "2", "大九挑七", ("缓吟", "猱")),
    ]
    assert [r.main for r in read_text("散勾二 少息\n大九挑七，缓吟\n").rows] == ["散勾二", "少息", "大九挑七", "缓吟"]
    assert [r.main for r in read_text("reading\n散勾二\n").rows] == ["散勾二"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"# only a comment\n", "empty"),
        (b"no,pitch\n1,60\n", "no column"),
        ("散勾二".encode("gbk"), "UTF-8"),
        (b"a\0b", "text"),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_score(tmp_path / "bad.csv")
    with pytest.raises(NotFoundError):
        read_score(tmp_path / "none.csv")


def test_a_piece_in_the_graph(tmp_path: Path) -> None:
    (tmp_path / "piece.ttl").write_text(PIECE, encoding="utf-8")
    inventory = load_inventory([tmp_path / "piece.ttl"])
    for score in (
        read_music(inventory.view, "https://w3id.org/guqin/resource/piece-x", "graph"),
        read_music(inventory.view, None, "graph"),
    ):
        found = interpret(score, grammar_of(inventory))
        assert found.strings.tuning.id == "ruibin"
        assert found.tradition == "between"
        assert [e.text for e in found.events] == ["散挑五", "大七八挑五"]
    with pytest.raises(NotFoundError, match="no piece"):
        read_music(inventory.view, "https://example.org/x", "graph")
    assert [r.main for r in read_score_with_names(tmp_path)] == ["散挑五", "大七八挑五"]
    (tmp_path / "broken.ttl").write_text("gq:", encoding="utf-8")
    with pytest.raises(GraphSyntaxError):
        read_score(tmp_path / "broken.ttl")


def read_score_with_names(folder: Path) -> tuple:  # type: ignore[type-arg]
    return read_score(folder / "piece.ttl").rows


@pytest.mark.parametrize(
    ("token", "midi", "beats"),
    [
        ("6,,.", (38,), 1.5),
        ("q3'", (69,), 0.5),
        ("s1''", (77,), 0.25),
        ("1", (53,), 1.0),
        (",3,,6.", (45, 38), 1.5),
        (",33.", (45, 57), 1.5),
        (",,6,6", (38, 50), 1.0),
    ],
)
def test_numbered_notation(token: str, midi: tuple[int, ...], beats: float) -> None:
    found = parse_jianpu(token, 53.0)
    assert found is not None
    assert (found.midi, found.beats) == (midi, beats)


def test_slurs_and_ties_say_no_pitch() -> None:
    assert all(parse_jianpu(token, 53.0) is None for token in ("(", ")", "~", "\\flageolet", "", None))
    dash = parse_jianpu("-", 53.0)
    assert dash is not None
    assert dash.prolongs


def test_midi(tmp_path: Path, grammar: Grammar) -> None:
    found = interpret(read_text(PHRASE), grammar)
    write_midi(found, tmp_path / "a.mid")
    file = mido.MidiFile(tmp_path / "a.mid", charset="utf-8")
    on = [m for track in file.tracks for m in track if m.type == "note_on" and m.velocity]
    assert sorted((m.channel + 1, m.note) for m in on) == [(2, 38), (4, 43), (4, 50), (5, 50), (7, 50), (7, 62)]
    lyrics = [m.text for m in file.tracks[0] if m.type == "lyrics"]
    assert lyrics == PHRASE.split()
    bends = [m.pitch for track in file.tracks for m in track if m.type == "pitchwheel" and m.channel == 4]
    semitones = [24 * b / 8192 for b in bends]
    assert max(semitones) == pytest.approx(2.02, abs=0.4), "the slide from hui 10 to 9 is a whole tone, then a shake"
    chuo = [24 * m.pitch / 8192 for t in file.tracks for m in t if m.type == "pitchwheel" and m.channel == 3]
    assert min(chuo) < -1.5
    write_midi(found, tmp_path / "b.mid")
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_musicxml(tmp_path: Path, grammar: Grammar) -> None:
    music21 = pytest.importorskip("music21")
    found = interpret(read_text(PHRASE), grammar)
    write_musicxml(found, tmp_path / "a.musicxml", "试")
    back = music21.converter.parse(tmp_path / "a.musicxml")
    elements = list(back.flatten().notes)
    assert [sorted(p.midi for p in e.pitches) for e in elements] == [[38], [50], [50], [52], [43, 62], [50]]
    assert elements[0].lyrics[0].text == "散勾二"
    assert elements[4].lyrics[0].text == "撮大七七散四"
    write_musicxml(found, tmp_path / "b.musicxml", "试")
    assert (tmp_path / "a.musicxml").read_bytes() == (tmp_path / "b.musicxml").read_bytes()


def test_repeats_are_heard(grammar: Grammar) -> None:
    once = audio(interpret(read_text("「 散勾二 散勾三"), grammar), grammar.inventory)
    twice = audio(interpret(read_text("「 散勾二 散勾三 从「再作"), grammar), grammar.inventory)
    assert len(twice) - len(once) == pytest.approx(2 * 44_100, abs=10)


def test_a_score_goes_into_the_graph_and_comes_back(tmp_path: Path, grammar: Grammar) -> None:
    (tmp_path / "song.csv").write_text(
        "# 试曲. 1 = F3\nno,section,mode,reading,side_notes\n1,一,,大九挑七,缓吟\n2,一,,撮大七七散四,\n"
        "3,二,harmonic,大七勾二,\n"
        "4,二,harmonic,挑七,泛止\n5,三,,散勾一,少息\n",
        encoding="utf-8",
    )
    found = interpret(read_score(tmp_path / "song.csv"), grammar, tuning="蕤宾调")
    write_turtle(found, grammar, tmp_path / "song.ttl")
    again = read_score(tmp_path / "song.ttl")
    assert (again.extra["iri"], again.tradition) == ("https://w3id.org/guqin/resource/piece-song", "decimal")
    back = interpret(again, grammar)
    assert back.strings == found.strings
    assert [e.text for e in back.events] == [e.text for e in found.events]
    assert [e.result.sounds for e in back.events] == [e.result.sounds for e in found.events]
    assert back.findings == found.findings == []
    first = (tmp_path / "song.ttl").read_bytes()
    write_turtle(found, grammar, tmp_path / "song.ttl")
    assert (tmp_path / "song.ttl").read_bytes() == first

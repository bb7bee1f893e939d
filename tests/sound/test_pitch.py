"""Pitches of single readings against published and own vectors; tunings; what stays open."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import pytest

from guqin_kg.errors import NotFoundError, UsageError
from guqin_kg.inventory import Inventory, load_inventory
from guqin_kg.notation.parse import parse
from guqin_kg.sound.pitch import PitchReport, pitch
from guqin_kg.sound.tuning import find_tuning, note_name, open_strings, temperaments, tunings


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    return load_inventory()


def report(inventory: Inventory, reading: str, **options: str) -> PitchReport:
    return pitch(parse(reading), inventory, **options)


def test_published_vectors(inventory: Inventory, shared_data: Path) -> None:
    rows = list(csv.DictReader((shared_data / "knowledge" / "pitch_vectors.csv").open(encoding="utf-8")))
    assert len(rows) == 71
    checked = 0
    for row in rows:
        reading = row["reading"]
        if "(" in reading:  # position carried over: a note in context is given the place it carries
            reading = f"大{row['position']}{reading.split()[0]}"
        if reading.startswith("泛"):
            reading = f"大{reading[1:].strip()}"
        notation = parse(reading)
        if row["kind"] == "harmonic":
            notation = notation.model_copy(update={"sound": "harmonic"})
        sound = pitch(notation, inventory).reading.sounds[0]
        assert sound.string == int(row["string"]), row["no"]
        assert sound.ratio == Fraction(row["ratio_to_open"]), row["no"]
        strings = open_strings(inventory)
        midi = sound.midi(strings)
        assert midi == pytest.approx(float(row["midi_exact"]), abs=1e-4), row["no"]
        assert strings.hz(midi) == pytest.approx(float(row["hz_a440"]), abs=2e-3)
        assert note_name(midi) == row["nearest_note"]
        checked += 1
    assert checked == 71


@pytest.mark.parametrize(
    ("reading", "string", "ratio", "note"),
    [
        ("散勾二", 2, "1", "D2"),
        ("大九勾四", 4, "3/2", "D3"),
        ("大指九徽勾四弦", 4, "3/2", "D3"),
        ("名十八勾三", 3, "100/79", "A2"),
        ("大八半擘四", 4, "30/19", "Eb3"),
        ("名十一挑二", 2, "5/4", "F#2"),
        ("跪六四挑三", 3, "25/11", "G3"),
    ],
)
def test_own_vectors(inventory: Inventory, reading: str, string: int, ratio: str, note: str) -> None:
    data = report(inventory, reading).to_json()
    assert (data["string"], Fraction(data["ratio"]), data["note"]) == (string, Fraction(ratio), note)


def test_unisons_by_which_players_tune(inventory: Inventory) -> None:
    for stopped, free in (("名十勾五", "散挑七"), ("名十勾四", "散挑六"), ("大九勾四", "散挑七")):
        a, b = (report(inventory, r).to_json()["midi"] for r in (stopped, free))
        assert abs(a - b) * 100 < 2.0


def test_two_strings_give_two_pitches(inventory: Inventory) -> None:
    events = report(inventory, "撮大七七散四").to_json()["events"]
    assert [(e["string"], e["sound"], e["note"], e["group"]) for e in events] == [
        (7, "stopped", "D4", 0),
        (4, "open", "G2", 0),
    ]


def test_an_open_pinch_has_two_pitches(inventory: Inventory) -> None:
    events = report(inventory, "散撮七一").to_json()["events"]
    assert [(e["string"], e["sound"], e["note"]) for e in events] == [(7, "open", "D3"), (1, "open", "C2")]


def test_runs_give_every_string(inventory: Inventory) -> None:
    assert [e["string"] for e in report(inventory, "散滚六一").to_json()["events"]] == [6, 5, 4, 3, 2, 1]
    assert [e["string"] for e in report(inventory, "散拂一五").to_json()["events"]] == [1, 2, 3, 4, 5]
    run = report(inventory, "大九历七六").to_json()["events"]
    assert [(e["string"], e["group"]) for e in run] == [(7, 0), (6, 1)]


def test_figures_repeat_one_pitch(inventory: Inventory) -> None:
    data = report(inventory, "大九轮七").to_json()
    assert len(data["events"]) == 3
    assert data["note"] == "A3"


def test_aside_has_a_target_but_no_string(inventory: Inventory) -> None:
    data = report(inventory, "上七九").to_json()
    (event,) = data["events"]
    assert (event["role"], event["string"], event["ratio"], event["hz"]) == ("slide", None, "100/59", None)
    assert data["open"]


@pytest.mark.parametrize("reading", ["勾四", "就勾三", "进复", "打圆", "抓起", "名十掐起"])
def test_what_only_context_gives_is_said(inventory: Inventory, reading: str) -> None:
    data = report(inventory, reading).to_json()
    assert data["open"]
    assert all(e["hz"] is None for e in data["events"])
    assert not data["findings"], "a notation alone breaks no rule of sequence"


def test_outside_is_a_range(inventory: Inventory) -> None:
    data = report(inventory, "名外挑四").to_json()
    assert data["ratio"] == "9/8"
    low, high = data["events"][0]["range"]["midi"]
    assert low < data["midi"] == high
    assert any("differ" in line for line in data["open"])


def test_tradition_changes_the_meaning(inventory: Inventory) -> None:
    modern = report(inventory, "大七八挑五").to_json()
    early = report(inventory, "大七八挑五", tradition="between").to_json()
    assert modern["fraction"] == "29/50"
    assert "range" not in modern["events"][0]
    assert early["events"][0]["range"]["notes"] == ["F#3", "A3"]


def test_harmonic_needs_a_node(inventory: Inventory) -> None:
    notation = parse("大七六勾四").model_copy(update={"sound": "harmonic"})
    data = pitch(notation, inventory).to_json()
    assert [f["rule"] for f in data["findings"]] == ["V06"]
    assert data["events"][0]["hz"] is None


def test_tunings(inventory: Inventory, shared_data: Path) -> None:
    rows = list(csv.DictReader((shared_data / "knowledge" / "tunings.csv").open(encoding="utf-8")))
    assert len(rows) == len(tunings(inventory)) == 15
    for row in rows:
        tuning = find_tuning(inventory, row["name"])
        assert tuning.id == row["id"]
        assert list(tuning.midi) == [float(m) for m in row["midi_1_to_7"].split()]
        if "CONFLICT" in row["notes"]:
            assert any("CONFLICT" in note for note in tuning.notes)
    assert find_tuning(inventory, "紧五").id == "ruibin"
    assert find_tuning(inventory, None).id == "zhengdiao"
    with pytest.raises(NotFoundError, match="no tuning"):
        find_tuning(inventory, "abc")


def test_tuning_changes_the_pitch(inventory: Inventory) -> None:
    assert report(inventory, "散挑五", tuning="蕤宾调").to_json()["note"] == "Bb2"
    assert report(inventory, "散挑五").to_json()["note"] == "A2"


def test_temperaments(inventory: Inventory) -> None:
    assert next(iter(temperaments(inventory))) == "equal"
    pure = open_strings(inventory, None, "pythagorean")
    ratios = [2 ** ((m - pure.midi[0]) / 12) for m in pure.midi]
    assert ratios == pytest.approx([1, 9 / 8, 4 / 3, 3 / 2, 27 / 16, 2, 9 / 4])
    just = open_strings(inventory, None, "just")
    assert 2 ** ((just.midi[4] - just.midi[0]) / 12) == pytest.approx(5 / 3)
    for tuning in tunings(inventory):
        for name in temperaments(inventory):
            tempered = open_strings(inventory, tuning.id, name).midi
            assert all(abs(a - b) < 0.3 for a, b in zip(tempered, tuning.midi, strict=True))
    with pytest.raises(UsageError):
        open_strings(inventory, a4=10)
    with pytest.raises(NotFoundError):
        open_strings(inventory, None, "well")

"""Every real reading at hand is read, with the components its source lists."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from guqin_kg.errors import ReadingError
from guqin_kg.notation.components import parts
from guqin_kg.notation.format import full_reading, short_reading, traditional_reading
from guqin_kg.notation.grammar import Grammar
from guqin_kg.notation.iri import notation_iri
from guqin_kg.notation.parse import analyse, parse, parse_cell, parse_json

from .exceptions import reason

COLUMNS = ("reading", "side_notes", "abbreviated", "full", "raw_reading", "corrected_reading", "bracket")
# label roles -> codes of part roles
ROLES = {"hui_pair": "hui", "hui_outside": "hui", "hui_above": "hui", "hui_below": "hui"}


@pytest.fixture(scope="module")
def seed(shared_data: Path) -> list[str]:
    lines = (shared_data / "data/seed96/names.txt").read_text(encoding="utf-8").splitlines()
    return [line.split("\t")[1].strip() for line in lines if line.strip()]


@pytest.fixture(scope="module")
def labels(shared_data: Path) -> list[dict]:
    text = (shared_data / "data/wushen/labels.jsonl").read_text(encoding="utf-8")
    rows = {}
    for line in text.splitlines():
        row = json.loads(line)
        if row["reading"]:
            rows[row["reading"], tuple(row["components"]), tuple(row["roles"])] = row
    return list(rows.values())


@pytest.fixture(scope="module")
def cells(shared_data: Path) -> dict[str, str]:
    out = {}
    for path in sorted((shared_data / "knowledge/scores").glob("*.csv")):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        for row in csv.DictReader(lines):
            for column in COLUMNS:
                if row.get(column):
                    out.setdefault(row[column], f"{path.name}:{column}")
    return out


def test_the_published_names_are_simple_notes(seed: list[str], grammar: Grammar) -> None:
    assert len(seed) == 96
    for name in seed:
        read = analyse(name, grammar)
        assert read.notation.form == "simple"
        assert read.notation.sound == "stopped"
        assert len(read.notation.strings) == len(read.notation.techniques) == 1
        assert "".join(read.components) == name
        assert short_reading(read.notation, grammar) == name


def test_the_book_of_1457_is_read_with_its_components(labels: list[dict], grammar: Grammar) -> None:
    assert len(labels) > 590
    for row in labels:
        read = analyse(row["reading"], grammar)
        assert read.components == row["components"], row["reading"]


def test_components_play_the_roles_the_labels_give(labels: list[dict], grammar: Grammar) -> None:
    differing = set()
    for row in labels:
        found = [part.role for part in parts(parse(row["reading"], grammar), grammar)]
        wanted = [ROLES.get(role, role) for role in row["roles"]]
        differing |= {(name, w, f) for name, w, f in zip(row["components"], wanted, found, strict=True) if w != f}
    assert differing == set()


def test_every_cell_of_the_scores_is_read_or_named_as_an_exception(cells: dict[str, str], grammar: Grammar) -> None:
    unread = {}
    for text, where in cells.items():
        try:
            found = parse_cell(text, grammar)
            assert found
        except ReadingError:
            unread[text] = where
    assert {text: where for text, where in unread.items() if reason(text) is None} == {}
    assert all(text in unread for text in cells if reason(text)), (
        "an exception can be read by now: take it off the list"
    )


def test_real_readings_go_round(seed: list[str], labels: list[dict], cells: dict[str, str], grammar: Grammar) -> None:
    texts = [
        *seed,
        *(row["reading"] for row in labels),
        *(c for text in cells for c in text.split() if not reason(text)),
    ]
    for text in dict.fromkeys(texts):
        notation = parse(text, grammar)
        for write in (short_reading, full_reading, traditional_reading):
            assert parse(write(notation, grammar), grammar) == notation, (text, write.__name__)


def test_full_and_short_columns_agree(shared_data: Path, grammar: Grammar) -> None:
    for name in ("jiukuang_alephpi_section1.csv", "xianwengcao_opening.csv"):
        path = shared_data / "knowledge/scores" / name
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        for row in csv.DictReader(lines):
            if row["no"] == "14" and name.startswith("xian"):
                continue  # the short column drops the 注 that the full one has
            short, full = parse(row["abbreviated"], grammar), parse(row["full"], grammar)
            assert short == full, row
            assert notation_iri(short, grammar) == notation_iri(full, grammar)


def test_json_of_real_readings_is_complete(labels: list[dict], grammar: Grammar) -> None:
    for row in labels[:200]:
        out = parse_json(row["reading"], grammar)
        assert out["iri"].isascii()
        assert out["ids"]
        assert {"reading", "form", "sound", "left_finger", "hui", "ornaments", "technique", "strings", "notes"} <= set(
            out
        )

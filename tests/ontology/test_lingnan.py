"""Real persons, works and transmission come in, told apart, with their source."""

from __future__ import annotations

import shutil

import pytest

from guqin_kg import reason, vocab
from guqin_kg.errors import DataError
from guqin_kg.graph.importers import lingnan
from guqin_kg.inventory import GQ, GQR


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "data" / "lingnan"


def test_every_row_of_every_table_is_read(folder):
    found = lingnan.read(folder)
    assert not found.problems
    assert found.counts == {
        "persons": 224,
        "groups": 2,
        "originals": 3,
        "editions": 37,
        "works": 35,
        "transmitters": 2,
        "pieces": 4,
        "transmissions": 50,
        "instruments": 22,
        "ownerships": 30,
        "relations": 66,
    }


def test_two_editions_share_a_work_and_all_has_a_source(folder):
    rows = lingnan.read(folder).triples
    works = {t.subject.value: t.object.value for t in rows if t.predicate.value == GQ + "isInstanceOf"}
    assert works[GQR + "lingnan-edition-S022"] == works[GQR + "lingnan-edition-S032"]
    subjects = {t.subject.value for t in rows}
    sourced = {t.subject.value for t in rows if t.predicate.value.endswith("/source")}
    assert subjects == sourced
    terms = {t.predicate.value for t in rows} | {t.object.value for t in rows if t.predicate.value.endswith("#type")}
    assert not {t for t in terms if t.startswith(GQ) and t.removeprefix(GQ) not in vocab.terms()}


def test_the_data_agree_with_the_ontology(folder):
    found = reason.reason([*reason.released_triples(), *lingnan.read(folder).triples], "reasonable")
    assert found.consistent, found.clashes


def test_a_bad_row_is_reported_and_the_rest_goes_in(folder, tmp_path):
    place = tmp_path / "lingnan"
    place.mkdir()
    for name in ("persons_unified.csv", "works_scores.csv"):
        shutil.copy(folder / name, place / name)
        (place / name).chmod(0o644)
    with (place / "works_scores.csv").open("a", encoding="utf-8") as file:
        file.write("X1,无号之谱,琴谱集,清,,,\n")
    found = lingnan.read(place)
    assert [(p["file"], p["row"]) for p in found.problems] == [("works_scores.csv", 43)]
    assert found.counts["editions"] == 37


def test_a_missing_table_is_said(tmp_path):
    with pytest.raises(DataError, match=r"persons_unified\.csv is missing"):
        lingnan.read(tmp_path)

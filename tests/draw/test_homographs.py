"""Notations that are written the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from guqin_kg.draw import Engine, draw_spec, sample_spec
from guqin_kg.draw.homographs import Homographs
from guqin_kg.inventory import load_inventory
from guqin_kg.notation.grammar import default_grammar, grammar_of
from guqin_kg.notation.lexicon import curated
from guqin_kg.notation.parse import parse
from tests.new_sign import ping


@pytest.fixture(scope="module")
def homographs() -> Homographs:
    return Homographs()


def picture(reading: str) -> np.ndarray:
    return draw_spec(sample_spec(parse(reading), "clean", 3, size=96)).pixels


@pytest.mark.parametrize(
    ("reading", "others"),
    [
        ("弹大七六按二", ["三弹大七六按二", "双弹大七六按二"]),
        ("小撮名外五散一", ["撮名外五散一"]),
        ("散如一声七", ["散如一七"]),
        ("仵上七", ["浒七"]),
    ],
)
def test_words_that_share_a_sign_make_homographs(homographs: Homographs, reading: str, others: list[str]) -> None:
    assert sorted(homographs.of(parse(reading))) == sorted(others)
    for other in others:
        assert reading in homographs.of(parse(other))
        assert np.array_equal(picture(reading), picture(other)), "no picture tells them apart"


@pytest.mark.parametrize("reading", ["大九勾四", "名十三勾四", "大九绰勾四", "名外挑六", "散挑五"])
def test_a_sign_in_another_place_is_no_homograph(homographs: Homographs, reading: str) -> None:
    assert homographs.of(parse(reading)) == []


def test_few_of_the_shipped_set_are_written_as_others_are(homographs: Homographs) -> None:
    notations = list(curated(default_grammar()))
    alike = [n for n in notations if homographs.of(n)]
    assert 0 < len(alike) < 0.1 * len(notations)


@pytest.mark.parametrize(("form", "others"), [('; gq:character "木"', ["大九抹四"]), ('; gq:ids "⿱丷十"', [])])
def test_a_new_sign_that_borrows_a_form_makes_some(tmp_path: Path, form: str, others: list[str]) -> None:
    path = tmp_path / "mine.ttl"
    path.write_text(ping(form), "utf-8")
    engine = Engine(grammar_of(load_inventory([path])))
    assert Homographs(engine).of(parse("大九抨四", engine.grammar)) == others

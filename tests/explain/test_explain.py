"""Explanations: every form and every base notation, in both languages, with sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guqin_kg.errors import NotFoundError, ReadingError
from guqin_kg.explain import explain

FORMS = ["大九绰勾四", "散勾三", "撮大七七散四", "撮六一", "上七九", "二上七六", "少息", "泛起", "勾三", "四", "名八五"]
FORMS += [
    "大九历七六",
    "滚六一",
    "名十对起",
    "掐起",
    "大八半罨五",
    "就挑六",
    "抹挑五",
    "泛大七勾一",
    "名外挑四",
    "吟",
    "分开",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    from guqin_kg.graph.build import build
    from guqin_kg.graph.workspace import init_workspace

    ws = init_workspace(tmp_path_factory.mktemp("explain") / "ws")
    return ws, build(ws)[0]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_form_explains_itself(world: tuple[Any, Any], lang: str) -> None:
    for reading in FORMS:
        one = explain(*world, reading, lang)[0]
        assert len(one.statements) >= 3, reading
        assert "None" not in one.text
        assert all(s.sources and s.query and s.template for s in one.statements)
        assert ("依据" in one.text) if lang == "zh" else ("Sources:" in one.text)


def test_what_the_hands_do(world: tuple[Any, Any]) -> None:
    text = explain(*world, "大九绰勾四")[0].text
    for words in ("大指", "九徽", "四弦", "绰", "勾", "中指向内", "按音", "D3", "成公亮"):
        assert words in text
    english = explain(*world, "大九绰勾四", "en")[0].text
    for words in ("thumb", "hui 9", "string 4", "Middle finger".lower(), "D3"):
        assert words in english


def test_what_is_contested_is_said(world: tuple[Any, Any]) -> None:
    assert "向外" in explain(*world, "gqr:rh-bo")[0].text
    both = explain(*world, "大七八挑七")[0].text
    assert "两徽之间" in both
    assert "29/50" in both
    assert "不一" in explain(*world, "名外挑四")[0].text


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_base_notation_explains_itself(world: tuple[Any, Any], lang: str) -> None:
    from guqin_kg.dialogue.regenerate import library_of
    from guqin_kg.dialogue.rows import Rows, View, view_of
    from guqin_kg.explain import _set
    from guqin_kg.inventory import load_inventory

    ws, generation = world
    turns = _set(ws, "explain-base", lang)
    views = {t.name: View(view_of(t), library_of(ws)) for t in turns.templates}
    rows = Rows(generation.store.query, library_of(ws), lang, views.values())
    bases = [b.iri for b in load_inventory().bases]
    rows.fetch(bases)
    assert len(bases) > 280
    for base in bases:
        told = 0
        for template in turns.templates:
            data = rows.of(views[template.name], base)
            if data:
                assert template.render(template.answers[0], data)
                told += 1
        assert told >= 2, base


def test_a_reading_that_is_not_stated_is_explained(world: tuple[Any, Any]) -> None:
    one = explain(*world, "大六半打二")[0]
    assert not one.stated
    assert "二弦" in one.text


def test_a_structure_is_explained_as_a_notation_alone(world: tuple[Any, Any]) -> None:
    from guqin_kg.notation.parse import parse

    for reading in ("大九绰勾四", "大六半打二"):
        (one,) = explain(*world, parse(reading))
        assert one == explain(*world, reading)[0]
    (one,) = explain(*world, parse("吟"))  # the reading is a base notation's name too
    both = explain(*world, "吟")
    assert one == both[0]


def test_errors(world: tuple[Any, Any], tmp_path: Path) -> None:
    with pytest.raises(ReadingError):
        explain(*world, "大九飞八")
    with pytest.raises(NotFoundError):
        explain(*world, "gqr:nothing-here")

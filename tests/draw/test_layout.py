"""Layout trees and their sequences, against the table of real forms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from guqin_kg.draw import Spec, default_engine, draw_spec
from guqin_kg.draw.layout import GRID, LayoutBuilder, columns_of, ids, layout_tree, parse_ids
from guqin_kg.errors import DataError
from guqin_kg.notation.components import component_names
from guqin_kg.notation.parse import parse

TABLE = {
    "散勾三": "⿱艹⿹勹三",
    "大九勾四": "⿱⿰大九⿹勹四",
    "大九挑七": "⿱⿰大九⿺乚七",
    "名六二抹六": "⿱⿰夕⿱六二⿱木六",
    "大八半擘四": "⿱⿰大⿱八𰀁⿸尸四",
    "大十二勾四": "⿱⿰大⿱十二⿹勹四",
    "大十八挑四": "⿱⿰大⿱十八⿺乚四",
    "名外挑四": "⿱⿰夕卜⿺乚四",
    "大九绰勾三": "⿳⿰大九卜⿹勹三",
    "名十八注抹五": "⿱⿰夕⿱十八⿰氵⿱木五",
    "勾三": "⿹勹三",
    "勾二三": "⿱⿹勹二三",  # 1457: the second string stands below the hook, not in it
    "就挑六": "⿱尢⿺乚六",
    "急大九挑七": "⿱⿰大九⿱⺈⿺乚七",
    "散历七六": "⿱艹⿸厂⿱七六",
    "抹挑五": "⿱木⿺乚五",
    "勾剔二": "⿱冖⿻冂⿹勹二",
    "撮大七六散三": "⿱日⿲⿱⿰大七六丅⿱艹三",
    "撮六一": "⿱日⿲六丅一",
    "泛撮六一": "⿱⿱丿丅⿱日⿲六丅一",
    "拨大七六七散六": "⿱癶⿰⿱⿰大⿱七六七⿱艹六",
    "拨剌一": "⿱⿱癶𰀉一",
    "名十对起": "⿱⿰夕十⿱业巳",
    "上七九": "⿱上⿱七九",
    "泛起": "⿱丿巳",
    "从头再作": "⿱⿱从豆⿱𰀃乍",
    "勾间勾三": "⿱⿹勹日⿹勹三",
}


@pytest.mark.parametrize(("reading", "expected"), TABLE.items())
def test_ids_of_the_published_table(reading: str, expected: str) -> None:
    assert ids(layout_tree(parse(reading))) == expected


def test_sequence_reads_back() -> None:
    for text in TABLE.values():
        assert ids(parse_ids(text)) == text


@pytest.mark.parametrize("text", ["⿱大", "大九", "⿲大九"])
def test_broken_sequence_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="layout"):
        parse_ids(text)


def test_every_component_owns_a_leaf() -> None:
    builder = LayoutBuilder()
    for reading in TABLE:
        notation = parse(reading)
        layout = builder.build(notation)
        assert [part.name for part in layout.parts] == component_names(notation)
        assert sorted({leaf.part for leaf in layout.tree.leaves()}) == list(range(len(layout.parts)))


def test_words_of_an_aside_set_apart() -> None:
    engine = default_engine()
    notation = parse("下十二往来")
    boxes = draw_spec(Spec(notation, size=200, columns=2, frame="crop"), engine).boxes
    middles = boxes[:, :2] + boxes[:, 2:] / 2
    move, position, behind = middles
    assert position[1] > move[1]
    # the second digit begins the second column, left of the first
    assert boxes[1, 0] < boxes[0, 0]
    assert behind[0] < move[0]
    assert behind[1] > move[1]
    tree = engine.layout(notation, columns=2).tree
    assert tree.op == GRID
    assert [len(column) for column in columns_of(tree)] == [2, 2]
    assert ids(tree) == "⿰⿱二⿰彳来⿱下十"
    assert ids(engine.layout(parse("大九勾四"), columns=2).tree) == "⿱⿰大九⿹勹四"


def test_every_real_reading_has_a_layout(shared_data: Path) -> None:
    builder = LayoutBuilder()
    lines = (shared_data / "data/wushen/labels.jsonl").read_text("utf-8").splitlines()
    readings = {row["reading"] for row in map(json.loads, lines) if row["reading"]}
    names = (shared_data / "data/seed96/names.txt").read_text("utf-8").split()[1::2]
    assert len(readings) > 590
    assert len(names) == 96
    for reading in sorted(readings | set(names)):
        layout = builder.build(parse(reading))
        assert {leaf.part for leaf in layout.tree.leaves()} == set(range(len(layout.parts))), reading


@pytest.mark.parametrize("reading", ["大九挑四", "散挑四", "名十抹五"])
def test_parts_of_a_stack_reach_into_each_other_in_prints(reading: str) -> None:
    notation = parse(reading)

    def gap(prints: float) -> float:
        boxes = draw_spec(Spec(notation, size=256, prints=prints, looseness=1.0)).boxes
        below = min(box[1] for box in boxes[-2:])  # the stroke and its string
        return float(below - (boxes[0][1] + boxes[0][3]))

    assert gap(1.0) < gap(0.0)

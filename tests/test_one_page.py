"""The product on one page: the very blocks of ``docs/one-page.md``, walked through every stage, no Python touched."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from guqin_kg import KnowledgeGraph
from guqin_kg.errors import GuqinKGError

PAGE = Path(__file__).resolve().parent.parent / "docs" / "one-page.md"


@pytest.fixture(scope="module")
def blocks() -> list[str]:
    found = re.findall(r"```turtle\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(found) == 2
    return found


@pytest.fixture(scope="module")
def taught(blocks: list[str], tmp_path_factory: pytest.TempPathFactory) -> KnowledgeGraph:
    from guqin_kg.graph.workspace import init_workspace

    root = tmp_path_factory.mktemp("handbook")
    init_workspace(root / "ws")
    kg = KnowledgeGraph.open(root / "ws")
    with pytest.raises(GuqinKGError):
        kg.notation("大九闪四")
    (root / "shan.ttl").write_text(blocks[0], "utf-8")
    kg.add_file(root / "shan.ttl")
    kg.add("大九闪四")
    return kg


def test_it_reads_and_writes(taught: KnowledgeGraph) -> None:
    row = taught.parse("大九绰闪四")
    assert row["technique"] == "闪"
    assert row["components"] == ["大", "九", "绰", "闪", "四"]
    assert taught.parse("散閃三")["iri"] == taught.parse("散音闪三弦")["iri"]


def test_the_graph_with_it_conforms(taught: KnowledgeGraph) -> None:
    report = taught.validate()
    assert report.conforms, report.to_json()


def test_it_composes(taught: KnowledgeGraph) -> None:
    found = sum(1 for _ in taught.lexicon(technique="闪"))
    assert found > 1000


def test_queries_find_it(taught: KnowledgeGraph) -> None:
    rows = taught.query("notations-using", component="闪").to_json()["results"]["bindings"]
    assert [row["name"]["value"] for row in rows] == ["大九闪四"]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_it_explains_itself(taught: KnowledgeGraph, lang: str) -> None:
    assert "闪" in taught.explain("大九闪四", lang=lang) or "shan" in taught.explain("大九闪四", lang=lang)
    assert {"zh": "食指向外轻弹一弦", "en": "flicks one string outward"}[lang] in taught.explain("闪", lang=lang)


def test_it_is_drawn_and_labelled(taught: KnowledgeGraph) -> None:
    drawing = taught.draw("大九闪四", size=200)
    assert list(drawing.names) == ["大", "九", "闪", "四"]
    x, y, w, h = (int(v) for v in drawing.boxes[2])
    ink = np.asarray(drawing.pixels)[y : y + h, x : x + w] < 128
    assert ink.any()
    assert w > 20
    assert h > 10


def test_it_sounds(taught: KnowledgeGraph) -> None:
    assert taught.pitch("大九闪四").to_json()["hz"] == pytest.approx(147.0, abs=0.1)
    samples = taught.sound_of("大九闪四")
    assert 0.05 < np.abs(samples).max() <= 1


def test_dialogues_speak_of_it(taught: KnowledgeGraph, tmp_path: Path) -> None:
    report = taught.regenerate(out=tmp_path / "out")
    lines = [
        json.loads(line)
        for file in (tmp_path / "out" / "dialogues").glob("*.jsonl")
        for line in file.read_text("utf-8").splitlines()
    ]
    mine = [line for line in lines if line["reading"] == "大九闪四"]
    assert {line["set"] for line in mine} == {"six", "twenty-two"}
    assert any("闪" in message["content"] for line in mine for message in line["messages"])
    assert report["records"]["rewritten"] >= len(mine)


def test_a_contradicting_block_is_refused(taught: KnowledgeGraph, blocks: list[str], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.ttl"
    wrong.write_text(blocks[1], "utf-8")
    before = {p: p.read_bytes() for p in taught.workspace.graph_files()}
    with pytest.raises(GuqinKGError) as caught:
        taught.add_file(wrong)
    assert "hand" in str(caught.value)
    assert before == {p: p.read_bytes() for p in taught.workspace.graph_files()}

"""Published data: what reads goes in, the rest is reported row by row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from guqin_kg.errors import UsageError
from guqin_kg.graph.build import build
from guqin_kg.graph.importers import run_import
from guqin_kg.graph.importers.rows import Tokens
from guqin_kg.graph.workspace import Workspace
from guqin_kg.inventory import load_inventory
from guqin_kg.query.session import GraphSession


def test_names_with_and_without_index(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("1\t大九勾四\n名十勾四\n\n# a comment\n大九勾八\n大九勾四\n", encoding="utf-8")
    report = run_import(ws, "names", path)
    assert (report.rows, report.imported, report.notations, report.new) == (4, 3, 2, 2)
    assert [(p["row"], p["text"]) for p in report.problems] == [(5, "大九勾八")]
    assert (ws.graph / "provenance.ttl").read_text(encoding="utf-8").count("gqr:n-") == 2
    again = run_import(ws, "names", path)
    assert (again.new, again.files) == (0, [])


def test_crops_carry_picture_source_and_tradition(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    rows = [
        {"file": "a.png", "reading": "大七八勾四"},
        {"file": "b.png", "reading": None},
        {"file": "c.png", "reading": "大龘勾四"},
        {"reading": "大九勾四"},
    ]
    lines = [json.dumps(r, ensure_ascii=False) for r in rows] + ["not json"]
    path.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n")
    report = run_import(ws, "crops", path, source="我的书", tradition="between")
    assert (report.rows, report.imported, report.images) == (6, 1, 1)
    assert [p["row"] for p in report.problems] == [2, 3, 4, 5, 6]
    session = GraphSession(ws, build(ws)[0])
    places = session.query("places-in-source", {"source": "我的书"}).rows
    assert [(r["name"], r["tradition"], r["from"], r["to"]) for r in places] == [
        ("大七八勾四", "between", "1/2", "3/5")
    ]
    images = session.query("images-of", {"notation": "大七八勾四"}).rows
    assert [(r["file"], r["tradition"]) for r in images] == [("a.png", "between")]
    with pytest.raises(UsageError):
        run_import(ws, "crops", path, source="我的书", tradition="decimal")
    with pytest.raises(UsageError):
        run_import(ws, "crops", path, tradition="nonsense")


def test_jzpnet_tokens_map_through_the_graph(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "metadata_3.txt"
    rows = [
        ("1_1", ["Music", "⿱", "⿰", "LEFT_FINGER_DA", "9", "⿹", "RIGHT_GOU", "4"]),
        ("1_2", ["Music", "⿺", "RIGHT_TIAO", "⿱", "TECHNIQUE_SAN_YIN", "6"]),
        ("1_3", ["Music", "⿱", "⿰", "LEFT_FINGER_MING", "LEFT_CHUO", "⿹", "RIGHT_GOU", "3"]),
        ("1_4", ["Music", "LEFT_SHANG", "9"]),
        ("1_5", ["Music", "⿱", "NO_SUCH_TOKEN", "4"]),
        ("1_6", ["Music", "⿱", "⿰"]),
        ("1_7", ["Music"]),
    ]
    text = "".join(f"{i}\t{tokens}\t30\t40\n" for i, tokens in rows) + "1_8\t__import__('os')\t1\t1\n"
    path.write_text(text, encoding="utf-8")
    report = run_import(ws, "jzpnet", path, source="五声琴谱")
    assert (report.rows, report.imported, report.images) == (8, 4, 4)
    assert [p["code"] for p in report.problems] == ["unknown-token", "broken-tree", "empty", "tokens"]
    session = GraphSession(ws, build(ws)[0])
    for reading in ("大九勾四", "散挑六", "名外勾三", "上九"):
        assert len(session.query("images-of", {"notation": reading})) == 1, reading


def test_published_vocabulary_loads(ws: Workspace, head: str, tmp_path: Path) -> None:
    path = tmp_path / "published.ttl"
    path.write_text(
        head + "<http://example.org/61> a gq:SubtractiveNotation ; gq:notationName '大六二擘七' ; gq:string '七弦' ;\n"
        "    gq:rightHandTech <http://example.org/bo> ; gq:leftFingerName '大指' .\n",
        encoding="utf-8",
    )
    report = run_import(ws, "ttl", path)
    assert report.imported
    assert "IRI of their structure" in report.notes[0]
    session = GraphSession(ws, build(ws)[0])
    assert len(session.query("components-of", {"notation": "大六二擘七"})) == 4
    assert "http://example.org/61" in {r.object.value for r in session.store if hasattr(r.object, "value")}


_PREFIX = "@prefix ex: <http://example.org/> .\n"
_GOOD = "ex:1 a gq:SubtractiveNotation ; gq:notationName '大六二擘七' ; gq:string '七弦' .\n"


def test_a_dry_run_says_what_would_be_written(ws: Workspace, head: str, tmp_path: Path) -> None:
    path = tmp_path / "x.ttl"
    path.write_text(head + _PREFIX + _GOOD, encoding="utf-8")
    report = run_import(ws, "ttl", path, dry_run=True)
    told = [line for line in report.lines() if "written" in line]
    assert [line.partition(" (")[0] for line in told] == [
        "would be written: graph/import-ttl-x.ttl",
        "would be written: graph/provenance.ttl",
    ]
    assert not (ws.graph / "import-ttl-x.ttl").exists()
    done = run_import(ws, "ttl", path)
    assert [(c["file"], c["removed"]) for c in done.counts] == [(f, 0) for f in report.files]
    assert [line for line in done.lines() if "written" in line] == [line.removeprefix("would be ") for line in told]
    assert (ws.graph / "import-ttl-x.ttl").exists()


@pytest.mark.parametrize(
    ("before", "subject", "row"),
    [
        (_PREFIX, "ex:2", 10),
        ("", "<http://example.org/2>", 9),
        ("@base <http://example.org/> .\n", "<2>", 10),
        ("PREFIX : <http://example.org/>\n", ":2", 10),
    ],
)
def test_refused_blocks_are_told_by_the_line_the_file_has(
    ws: Workspace, head: str, tmp_path: Path, before: str, subject: str, row: int
) -> None:
    path = tmp_path / "x.ttl"
    first = "<http://example.org/1> a gq:Image ; gq:fileName 'x.png' ; gq:isImageOf <http://example.org/2> .\n"
    block = f"{subject}\n    a gq:SubtractiveNotation ; gq:notationName '名十勾四' ; gq:noSuchTerm 'x' .\n"
    path.write_text(head + before + "# 2\n\n" + first + block, encoding="utf-8")
    report = run_import(ws, "ttl", path)
    assert [(p["row"], p["text"]) for p in report.problems] == [(row, "http://example.org/2")]
    assert (report.rows, report.imported) == (2, 1)
    assert f"row {row}: http://example.org/2: " in "\n".join(report.lines())


def test_only_what_went_in_is_counted(ws: Workspace, head: str, tmp_path: Path) -> None:
    path = tmp_path / "x.ttl"
    bad = "ex:2 a gq:SubtractiveNotation ; gq:notationName '名十勾四' ; gq:noSuchTerm 'x' .\n"
    path.write_text(head + _PREFIX + _GOOD + bad, encoding="utf-8")
    report = run_import(ws, "ttl", path)
    assert (report.rows, report.imported, report.notations, report.new) == (2, 1, 1, 1)
    assert [note.partition(" got ")[0] for note in report.notes] == ["1 notations"]
    assert not [iri for iri in report.made if "/p" in iri.removeprefix("https://w3id.org/guqin/resource/")]
    written = (ws.graph / "import-ttl-x.ttl").read_text(encoding="utf-8")
    assert "大六二擘七" in written
    assert "名十勾四" not in written  # its parts have gone with it
    assert "n-ming" not in written


def test_base_notations_of_the_published_class_are_the_graphs_own(ws: Workspace, head: str, tmp_path: Path) -> None:
    path = tmp_path / "x.ttl"
    path.write_text(
        head + _PREFIX + "ex:bo a gq:BasicNotation ; gq:notationName '擘' ; gq:rightFingerName '右手大指' .\n"
        "ex:62 a gq:SubtractiveNotation ; gq:notationName '无名之字' ; gq:rightHandTech ex:bo .\n"
        "ex:nine a gq:BasicNotation ; gq:notationName '九' .\n",
        encoding="utf-8",
    )
    report = run_import(ws, "ttl", path)
    assert [p["text"] for p in report.problems] == ["http://example.org/nine"]  # a hui and a fen have that name
    assert report.notes == ["1 base notations are the graph's own of that name; the old IRI is kept as dc:identifier"]
    session = GraphSession(ws, build(ws)[0])
    said = {
        (q.subject.value, q.predicate.value.rpartition("/")[2])
        for q in session.store
        if "example.org/bo" in str(q.object)
    }
    own = session.inventory.named("擘")[0].iri
    assert said == {(own, "identifier")}
    hands = {q.object.value for q in session.store if str(q.subject) == "<http://example.org/62>"}
    assert own in hands


@pytest.mark.parametrize("bad", ["gq:string 8", "gq:string '八弦'", "gq:leftFinger ex:no", "gq:hasPart ex:no"])
def test_the_published_class_takes_no_eighth_string_and_no_reference_to_nothing(
    ws: Workspace, head: str, tmp_path: Path, bad: str
) -> None:
    path = tmp_path / "x.ttl"
    path.write_text(
        head + _PREFIX + _GOOD + f"ex:2 a gq:SubtractiveNotation ; gq:notationName '大九勾八' ; {bad} .\n",
        encoding="utf-8",
    )
    report = run_import(ws, "ttl", path)
    assert [p["text"] for p in report.problems] == ["http://example.org/2"]
    assert "大九勾八" not in (ws.graph / "import-ttl-x.ttl").read_text(encoding="utf-8")


def test_what_refers_to_a_refused_block_is_refused_too_however_long_the_chain(
    ws: Workspace, head: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.ttl"
    chain = [f"ex:a{n} a gq:SubtractiveNotation ; gq:isComponentOf ex:a{n + 1} .\n" for n in range(8)]
    last = "ex:a8 a gq:SubtractiveNotation ; gq:string 8 .\n"
    path.write_text(head + _PREFIX + _GOOD + "".join(chain) + last, encoding="utf-8")
    report = run_import(ws, "ttl", path)
    assert (report.rows, report.imported) == (10, 1)
    assert [p["row"] for p in report.problems] == list(range(8, 17))
    assert "example.org/a" not in (ws.graph / "import-ttl-x.ttl").read_text(encoding="utf-8")


def test_the_96_published_names(ws: Workspace, shared_data: Path) -> None:
    report = run_import(ws, "names", shared_data / "data" / "seed96" / "names.txt")
    assert (report.rows, report.imported, report.problems) == (96, 96, [])


def test_token_lists_of_the_print_of_1457_read_as_labelled(shared_data: Path) -> None:
    tokens = Tokens(load_inventory())
    same = total = 0
    with (shared_data / "data" / "wushen" / "labels.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row["reading"] and not row["flags"]:
                total += 1
                same += tokens.reading(["Music", *row["ids_tokens"]]) == row["reading"]
    # 爪起 is another spelling of 抓起; nothing else differs
    assert total > 2200
    assert total - same < 10


@pytest.mark.slow
def test_readings_of_the_print_of_1457(ws: Workspace, shared_data: Path) -> None:
    path = shared_data / "data" / "wushen" / "labels.jsonl"
    report = run_import(ws, "crops", path, source="五声琴谱")
    assert report.rows == 2488
    unread = [p for p in report.problems if p["code"] not in ("no-reading", "does-not-conform")]
    assert unread == []
    assert report.imported >= 2400
    session = GraphSession(ws, build(ws)[0])
    places = {(r["position"], r["from"], r["to"]) for r in session.query("places-in-source", {"source": "五声琴谱"})}
    assert ("七八", "1/2", "3/5") in places

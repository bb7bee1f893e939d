"""Adding and removing: validated, all or nothing, recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from guqin_kg.errors import DataError, NotFoundError, ReadingError, ValidationError
from guqin_kg.graph.build import build
from guqin_kg.graph.edit import add_file, add_readings, remove_notations
from guqin_kg.graph.workspace import Workspace


def files(ws: Workspace) -> dict[str, bytes]:
    return {str(p.relative_to(ws.root)): p.read_bytes() for p in ws.graph.rglob("*") if p.is_file()}


def test_add_then_remove_leaves_the_graph_as_it_was(ws: Workspace) -> None:
    before = {str(q.triple) for q in build(ws)[0].store}
    report = add_readings(ws, ["大九勾四", "撮大七七散四"])
    assert [r["status"] for r in report.notations] == ["added", "added"]
    assert report.files == ["graph/notations.ttl", "graph/provenance.ttl"]
    assert report.added > 50
    again = add_readings(ws, ["大指九徽勾四弦"])
    assert again.notations[0]["status"] == "present"
    assert again.notations[0]["as"] == "大九勾四"
    assert not again.files
    log = (ws.graph / "provenance.ttl").read_text(encoding="utf-8")
    assert log.count("prov:Activity") == 1
    assert "prov:generated" in log
    done = remove_notations(ws, ["大九勾四", "撮大七七散四"])
    assert done.removed > 50
    assert (ws.graph / "provenance.ttl").read_text(encoding="utf-8").startswith(log.rstrip())
    left = {str(q.triple) for q in build(ws)[0].store} - before
    assert all("activity-" in t or "agent-guqin-kg" in t or "source-workspace" in t for t in left)


def test_every_file_touched_is_named_with_its_own_counts(ws: Workspace) -> None:
    would = add_readings(ws, ["大九注勾五"], dry_run=True)
    added = add_readings(ws, ["大九注勾五"])
    assert would.counts == added.counts
    assert [c["file"] for c in added.counts] == added.files == ["graph/notations.ttl", "graph/provenance.ttl"]
    assert all(c["added"] > 0 and c["removed"] == 0 for c in added.counts)
    statements = added.counts[0]["added"]
    gone = remove_notations(ws, ["大九注勾五"])
    assert [c["file"] for c in gone.counts] == gone.files == ["graph/notations.ttl", "graph/provenance.ttl"]
    assert (gone.counts[0]["added"], gone.counts[1]["removed"]) == (0, 0)
    assert 0 < gone.counts[0]["removed"] <= statements  # the source of the workspace stays
    told = "\n".join(gone.lines())
    assert f"touched: graph/notations.ttl (0 statements added, {gone.counts[0]['removed']} removed)" in told
    assert f"touched: graph/provenance.ttl ({gone.counts[1]['added']} statements added, 0 removed)" in told
    assert f"in the store: {gone.added} statements added, {gone.removed} removed" in told
    assert gone.to_json()["counts"] == gone.counts


def test_a_file_that_is_no_turtle_is_counted_too(ws: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "mine.nt"
    source.write_text('<http://example.org/1> <http://www.w3.org/2000/01/rdf-schema#label> "x" .\n', encoding="utf-8")
    report = add_file(ws, source)
    assert report.counts[0] == {"file": "graph/mine.nt", "added": 1, "removed": 0}


def test_dry_run_changes_nothing(ws: Workspace) -> None:
    build(ws)
    before = files(ws)
    report = add_readings(ws, ["大九勾四"], dry_run=True)
    assert report.added > 20
    assert "would be" in "\n".join(report.lines())
    assert files(ws) == before


@pytest.mark.parametrize("reading", ["大九勾八", "大指十四徽勾四弦", "散九勾四", "大九龘四", "大九二分散勾四"])
def test_bad_readings_are_refused_and_nothing_changes(ws: Workspace, reading: str) -> None:
    build(ws)
    before = files(ws)
    with pytest.raises(ReadingError) as caught:
        add_readings(ws, ["大九勾四", reading])
    assert caught.value.exit_status == 1
    assert files(ws) == before


def test_a_file_is_copied_as_it_is(ws: Workspace, head: str, tmp_path: Path) -> None:
    build(ws)
    source = tmp_path / "mine.ttl"
    source.write_text(
        head + "# my own note\ngqr:source-mine a gq:Source ; rdfs:label '我书'@zh , 'my book'@en ;\n"
        "    <http://www.w3.org/2004/02/skos/core#definition> '一书。'@zh , 'A book.'@en ; \n"
        "    gq:tradition gqr:tradition-between .\n",
        encoding="utf-8",
    )
    report = add_file(ws, source)
    assert (ws.graph / "mine.ttl").read_bytes() == source.read_bytes()
    assert report.notations[0]["status"] == "added"
    assert not add_file(ws, source).files
    source.write_text(source.read_text(encoding="utf-8") + "# more\n", encoding="utf-8")
    with pytest.raises(DataError, match="other contents"):
        add_file(ws, source)
    with pytest.raises(DataError) as caught:
        remove_notations(ws, ["gqr:source-mine"])
    assert caught.value.code == "hand-kept"


def test_what_is_used_is_not_removed(ws: Workspace, head: str) -> None:
    add_readings(ws, ["大九勾四"])
    (ws.graph / "image.ttl").write_text(
        head + "gqr:image-x a gq:Image ; gq:fileName 'x.png' ; gq:isImageOf gqr:n-da.9-gou-s4 .\n", encoding="utf-8"
    )
    before = files(ws)
    with pytest.raises(DataError) as caught:
        remove_notations(ws, ["大九勾四"])
    assert caught.value.code == "in-use"
    assert caught.value.line == 6
    assert files(ws) == before
    with pytest.raises(NotFoundError):
        remove_notations(ws, ["名十勾四"])


def test_a_duplicate_under_another_name_is_refused(ws: Workspace, head: str, tmp_path: Path) -> None:
    add_readings(ws, ["大九勾四"])
    path = tmp_path / "other.ttl"
    path.write_text(head + "gqr:my-own a gq:CompoundNotation ; gq:notationName '大九勾四' .\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        add_file(ws, path)
    assert (caught.value.code, caught.value.line) == ("duplicate", 6)
    assert "n-da.9-gou-s4" in caught.value.message
    path.write_text(
        head + "gqr:rh-gou2 a gq:BasicNotation , gq:RightHandTechnique ; gq:notationName '勾' ;\n"
        "    gq:grammarRole gqr:role-stroke ; gq:partRole gq:rightHandPart .\n",
        encoding="utf-8",
    )
    with pytest.raises(DataError) as caught:
        add_file(ws, path)
    assert caught.value.code == "duplicate"


@pytest.mark.parametrize("kind", ["gq:SubtractiveNotation", "gq:CompoundNotation"])
def test_no_class_of_notation_takes_an_eighth_string(ws: Workspace, head: str, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "eight.ttl"
    path.write_text(head + f"<http://example.org/b> a {kind} ; gq:string 8 ; gq:mark gqr:no .\n", encoding="utf-8")
    with pytest.raises(ValidationError) as caught:
        add_file(ws, path)
    shapes = {r["shape"].rpartition("#")[2] for r in caught.value.details["results"]}
    assert {"Note-string", "Note-mark"} <= shapes
    assert not (ws.graph / "eight.ttl").exists()


def test_an_addition_that_breaks_a_shape_is_refused(ws: Workspace, head: str, tmp_path: Path) -> None:
    build(ws)
    before = files(ws)
    path = tmp_path / "bad.ttl"
    path.write_text(head + "gqr:x a gq:Source ; gq:thisTermIsNotDeclared 'x' .\n", encoding="utf-8")
    with pytest.raises(ValidationError) as caught:
        add_file(ws, path)
    assert caught.value.details["results"]
    assert caught.value.line == 6
    assert files(ws) == before

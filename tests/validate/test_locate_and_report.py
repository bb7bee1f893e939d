"""File and line of a result, and the three forms of a report."""

from __future__ import annotations

import json
from pathlib import Path

import pyoxigraph as ox
from click.testing import CliRunner

from guqin_kg.cli import cli
from guqin_kg.graph.workspace import init_workspace
from guqin_kg.validate.locate import index_turtle
from guqin_kg.validate.report import Report, Result, plain

TURTLE = '''# a comment . with a dot
@prefix gq: <https://w3id.org/guqin/ontology#> .
PREFIX gqr: <https://w3id.org/guqin/resource/>

gqr:a gq:notationName "大。. ;" ;
    gq:ids """two
lines . ; """ ;
    gq:number 1.5 , [ gq:x gqr:b ] .
gqr:n-da.9-gou\\/p1 a gq:Part .
<https://w3id.org/guqin/resource/c>
    gq:partIndex 3 .
'''
GQ, GQR = "https://w3id.org/guqin/ontology#", "https://w3id.org/guqin/resource/"


def test_lines_of_subjects_and_predicates() -> None:
    found = index_turtle(TURTLE)
    assert found[f"<{GQR}a>", None] == 5
    assert found[f"<{GQR}a>", f"<{GQ}ids>"] == 6
    assert found[f"<{GQR}a>", f"<{GQ}number>"] == 8
    assert found[f"<{GQR}n-da.9-gou/p1>", None] == 9
    assert found[f"<{GQR}c>", f"<{GQ}partIndex>"] == 11
    assert (f"<{GQR}b>", None) not in found


def test_relative_iris_are_resolved() -> None:
    found = index_turtle(
        "<a> a <#B> .\n@base <http://example.org/x/> .\n@prefix y: <../y#> .\n<b> y:p 1 .\ny:c y:p 2 .", GQR
    )
    assert [key[0] for key in found if key[1] is None] == [
        f"<{GQR}a>",
        "<http://example.org/x/b>",
        "<http://example.org/y#c>",
    ]
    assert ("<http://example.org/x/b>", "<http://example.org/y#p>") in found
    assert ("<a>", None) in index_turtle("<a> a <b> .")


def report() -> Report:
    row = Result(
        f"<{GQR}a>",
        f"<{GQ}string>",
        '"8"^^<http://www.w3.org/2001/XMLSchema#integer>',
        "violation",
        "https://w3id.org/guqin/shapes#Note-string",
        "http://www.w3.org/ns/shacl#MaxInclusiveConstraintComponent",
        messages={"zh": "弦“八”", "en": 'string "8"'},
    )
    return Report.of([row, row], focus_nodes=1)


def test_report_forms() -> None:
    one = report().located({(f"<{GQR}a>", f"<{GQ}string>"): ("x.ttl", 7)})
    assert len(one.results) == 1
    assert not one.conforms
    data = one.to_json()["results"][0]
    assert (data["focus"], data["path"], data["value"]) == (GQR + "a", GQ + "string", "8")
    assert (data["file"], data["line"], data["message"]["zh"]) == ("x.ttl", 7, "弦“八”")
    assert "x.ttl:7" in one.to_text()
    quads = list(ox.parse(one.to_turtle().encode(), format=ox.RdfFormat.TURTLE))
    assert any(q.predicate.value.endswith("#resultSeverity") for q in quads)
    sequence = Result("<urn:a>", "(<urn:p>/<urn:q>)", None, "info", "urn:s", "urn:c")
    list(ox.parse(Report.of([sequence]).to_turtle().encode(), format=ox.RdfFormat.TURTLE))
    assert plain('"a\\"b"@zh') == 'a"b'


def test_the_command_names_file_and_line(tmp_path: Path) -> None:
    ws = init_workspace(tmp_path / "ws")
    bad = tmp_path / "bad.ttl"
    bad.write_text(
        f'@prefix gq: <{GQ}> .\n@prefix gqr: <{GQR}> .\n\ngqr:tuning-x a gq:Tuning ;\n  gq:tuningName "甲" , "乙" .\n',
        encoding="utf-8",
    )
    run = CliRunner().invoke(cli, ["validate", str(bad), "--format", "json", "--workspace", str(ws.root)])
    assert run.exit_code == 1, run.output
    data = json.loads(run.stdout)
    assert data["conforms"] is False
    row = next(r for r in data["results"] if r["path"] == GQ + "tuningName")
    assert (row["file"], row["line"], row["severity"]) == (str(bad), 5, "violation")
    assert set(row["message"]) == {"zh", "en"}
    good = tmp_path / "good.ttl"
    good.write_text(
        f'@prefix gq: <{GQ}> .\n<{GQR}person-x> a gq:Person ; <http://xmlns.com/foaf/0.1/name> "甲" .\n',
        encoding="utf-8",
    )
    run = CliRunner().invoke(cli, ["validate", str(good), "--workspace", str(ws.root)])
    assert run.exit_code == 0, run.output


def test_the_reference_page_lists_the_shapes_as_they_are(repo_root: Path) -> None:
    from guqin_kg.validate.reference import written_into

    page = (repo_root / "docs" / "validation.md").read_text(encoding="utf-8")
    assert page == written_into(page), "run python -m guqin_kg.validate.reference"

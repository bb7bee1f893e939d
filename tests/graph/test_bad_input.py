"""Bad files: a clear answer with file and line, status 1, nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from guqin_kg.errors import DataError, GraphSyntaxError, LimitError, UnsafeInputError, ValidationError
from guqin_kg.graph import edit
from guqin_kg.graph.build import build
from guqin_kg.graph.edit import add_file, add_readings
from guqin_kg.graph.sources import read_triples
from guqin_kg.graph.workspace import Workspace


def test_broken_turtle_names_file_and_line(ws: Workspace, head: str) -> None:
    good, _ = build(ws)
    (ws.graph / "bad.ttl").write_text(head + "gqr:x a gq:Person\ngqr:y a gq:Person .\n")
    with pytest.raises(GraphSyntaxError) as caught:
        build(ws)
    assert caught.value.file == str(ws.graph / "bad.ttl")
    assert caught.value.line in (6, 7)
    (ws.graph / "bad.ttl").unlink()
    assert build(ws)[0].content_hash == good.content_hash


def test_invalid_utf8_names_the_line(tmp_path: Path, head: str) -> None:
    path = tmp_path / "gbk.ttl"
    path.write_bytes(head.encode() + "gqr:x rdfs:label '减字'@zh .\n".encode("gbk"))
    with pytest.raises(GraphSyntaxError) as caught:
        read_triples(path)
    assert (caught.value.code, caught.value.line) == ("not-utf8", 6)


def test_a_file_of_200_mb_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.ttl"
    with path.open("wb") as out:
        out.truncate(200 * 2**20)
    with pytest.raises(LimitError) as caught:
        read_triples(path)
    assert caught.value.code == "file-too-large"


def test_a_big_file_in_the_workspace_stops_the_build(ws: Workspace) -> None:
    with (ws.graph / "big.ttl").open("wb") as out:
        out.truncate(200 * 2**20)
    with pytest.raises(LimitError):
        build(ws)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("gq:myTerm a owl:Class .", "declares-term"),
        ("gq:string rdfs:label 'other' .", "declares-term"),
        ("<http://example.org/o> a owl:Ontology ; owl:imports <http://example.org/remote> .", "remote-import"),
        ("<http://example.org/o> owl:imports <file:///etc/passwd> .", "remote-import"),
    ],
)
def test_user_files_declare_no_terms_and_import_nothing(
    ws: Workspace, head: str, tmp_path: Path, body: str, code: str
) -> None:
    path = tmp_path / "x.ttl"
    path.write_text(head + body + "\n")
    with pytest.raises(UnsafeInputError) as caught:
        add_file(ws, path)
    assert (caught.value.code, caught.value.line) == (code, 6)
    (ws.graph / "x.ttl").write_text(head + body + "\n")
    with pytest.raises(UnsafeInputError):
        build(ws)


def test_remote_contexts_are_refused_and_our_own_is_built_in(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonld"
    path.write_text('{"@context": "http://127.0.0.1:9/c", "@id": "http://x/a", "name": "n"}')
    with pytest.raises(UnsafeInputError) as caught:
        read_triples(path)
    assert caught.value.code == "remote-context"
    path.write_text('{"@context": {"@import": "http://127.0.0.1:9/c"}, "@id": "http://x/a"}')
    with pytest.raises(UnsafeInputError):
        read_triples(path)
    path.write_text(
        '{"@context": "https://w3id.org/guqin/context.jsonld", "@id": "http://x/a", "notationName": "大九勾四"}'
    )
    assert len(read_triples(path)) == 1
    path.write_text("{")
    with pytest.raises(GraphSyntaxError):
        read_triples(path)


def test_unknown_kinds_of_file(tmp_path: Path) -> None:
    path = tmp_path / "x.rdf"
    path.write_text("<x/>")
    with pytest.raises(DataError) as caught:
        read_triples(path)
    assert caught.value.code == "unknown-format"
    with pytest.raises(DataError):
        read_triples(tmp_path / "nothing.ttl")


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
def test_a_full_disk_says_so_without_traceback(ws: Workspace) -> None:
    build(ws)
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "sys.argv = ['guqin', 'add', '大九勾四', '--workspace', sys.argv[1]]\n"
        "from guqin_kg.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(ws.root)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "guqin:" in done.stderr
    assert not (ws.graph / "notations.ttl").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["add", "大九勾八"], 1, "大九勾八 (character 4): there is no string 8"),
        (["add", "大九勾四", "大九睡四"], 1, "大九睡四 (character 3): 睡"),
        (["add", "大十四徽勾四"], 1, "大十四徽勾四 (character 2): there is no hui 14"),
        (["add", "散九徽五分勾四"], 1, "散九徽五分勾四 (character 4): 散 excludes a fen"),
        (["add"], 2, "readings or --from"),
        (["add", "--from", "no.ttl"], 1, "no such file"),
        (["query", "no-such-query"], 1, "no library query"),
        (["query"], 2, "say what to ask"),
        (["query", "components-of"], 2, "needs the parameter notation"),
        (["query", "components-of", "-p", "x"], 2, "NAME=VALUE"),
        (["import", "names", "no.txt"], 1, "no such file"),
        (["import", "nonsense", "x"], 2, "nonsense"),
    ],
)
def test_command_line_answers(ws: Workspace, arguments: list[str], status: int, says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "guqin_kg", *arguments, "--workspace", str(ws.root)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_undeclared_term_is_a_violation_even_on_a_thing_without_a_class(
    ws: Workspace, head: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.ttl"
    path.write_text(head + "gqr:my-note gq:leftFingr gqr:lf-da .\n")
    with pytest.raises(ValidationError) as caught:
        add_file(ws, path)
    assert caught.value.line == 6
    (row,) = caught.value.details["results"]
    assert row["shape"] == "https://w3id.org/guqin/shapes#UndeclaredProperty"
    path.write_text(head + "gqr:my-note gq:leftFinger gqr:lf-da .\n")
    assert add_file(ws, path, dry_run=True).files


def test_a_disk_that_fills_up_after_the_change_is_decided_loses_nothing(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(ws)
    real, calls = edit.build_locked, []

    def full(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:  # the store after the files
            raise OSError(28, "No space left on device")
        return real(*args, **kwargs)

    monkeypatch.setattr(edit, "build_locked", full)
    with pytest.raises(DataError) as caught:
        add_readings(ws, ["大九勾四"])
    assert caught.value.code == "store-behind"
    assert "graph/notations.ttl" in str(caught.value)
    assert "No space left" in str(caught.value)
    assert add_readings(ws, ["大九勾四"]).notations[0]["status"] == "present"
    assert edit.stated(build(ws)[0], "https://w3id.org/guqin/resource/n-da.9-gou-s4")

"""Bad files: a clear answer with file and line, status 1, nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from guqin_kg.errors import DataError, GraphSyntaxError, LimitError, UnsafeInputError
from guqin_kg.graph.build import build
from guqin_kg.graph.edit import add_file
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
        (["add", "大九勾八"], 1, "guqin:"),
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

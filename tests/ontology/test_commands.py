"""``guqin reason`` and ``guqin fmt`` from the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from guqin_kg.cli import cli

PREFIX = "@prefix gq: <https://w3id.org/guqin/ontology#> .\n@prefix gqr: <https://w3id.org/guqin/resource/> .\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in a fresh workspace; returns the click result."""
    from guqin_kg.graph.workspace import init_workspace

    init_workspace(tmp_path / "ws")
    monkeypatch.chdir(tmp_path / "ws")
    return lambda *args: CliRunner().invoke(cli, list(args))


def test_reason_prints_json_and_names_the_reasoner(run):
    result = run("reason", "--reasoner", "reasonable", "--format", "json", "--class", "PinchTechnique")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["consistent"] is True
    assert found["reasoner"].startswith("reasonable")
    assert "https://w3id.org/guqin/resource/rhc-cuo" in found["members"]


def test_reason_ends_with_1_on_a_contradiction_in_the_workspace(run, tmp_path):
    body = "gqr:n-x a gq:CompoundNotation ; gq:sound gq:open , gq:stopped ."
    (tmp_path / "ws" / "graph" / "own.ttl").write_text(PREFIX + body, encoding="utf-8")
    result = run("reason", "--reasoner", "reasonable")
    assert result.exit_code == 1
    assert "takes one value" in result.stdout


def test_reason_refuses_a_class_that_is_not_there(run):
    result = run("reason", "--reasoner", "reasonable", "--class", "Nope")
    assert result.exception is not None
    assert "no class gq:Nope" in str(result.exception)


def test_fmt_changes_once_and_check_says_so(run, tmp_path):
    path = tmp_path / "a.ttl"
    path.write_text(PREFIX + "gqr:b gq:number 1 .\ngqr:a gq:number 2 .", encoding="utf-8")
    assert run("fmt", "--check", str(path)).exit_code == 1
    assert run("fmt", str(path)).exit_code == 0
    assert run("fmt", "--check", str(path)).exit_code == 0
    assert path.read_text(encoding="utf-8").index("gqr:a") < path.read_text(encoding="utf-8").index("gqr:b")


def test_fmt_names_the_line_of_a_mistake(run, tmp_path):
    path = tmp_path / "a.ttl"
    path.write_text(PREFIX + "gqr:b gq:number ;; .", encoding="utf-8")
    result = run("fmt", str(path))
    assert result.exception is not None
    assert getattr(result.exception, "line", None) == 3

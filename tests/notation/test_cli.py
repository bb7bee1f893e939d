"""``guqin parse`` and ``guqin lexicon`` keep the contract's forms and statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from guqin_kg.cli.notation import lexicon, parse
from guqin_kg.errors import UsageError


def test_parse_answers_all_and_says_no() -> None:
    result = CliRunner().invoke(parse, ["大九绰勾四", "大九勾八", "撮大七七散四", "--format", "json"])
    assert result.exit_code == 1
    first, second, third = json.loads(result.stdout)
    assert first["technique"] == "勾"
    assert second["error"]["code"] == "string-out-of-range"
    assert set(second) == {"reading", "error"}
    assert third["form"] == "complex"


def test_parse_as_text_and_from_standard_input() -> None:
    result = CliRunner().invoke(parse, ["大十二勾四"])
    assert result.exit_code == 0
    assert "A1" in result.stdout
    result = CliRunner().invoke(parse, ["-", "--format", "json"], input="散勾三\n\n名十对起\n")
    assert [item["form"] for item in json.loads(result.stdout)] == ["simple", "simple"]


def test_parse_without_a_reading_is_wrong_use() -> None:
    result = CliRunner().invoke(parse, [])
    assert isinstance(result.exception, UsageError)


def test_lexicon_counts_lists_and_writes(tmp_path: Path) -> None:
    result = CliRunner().invoke(lexicon, ["--count", "--format", "json"])
    assert json.loads(result.stdout)["total"] >= 26_416
    result = CliRunner().invoke(lexicon, ["--where", "finger=大", "technique=勾", "string=4", "--limit", "5"])
    assert len(result.stdout.split()) == 5
    assert all("勾" in line and line.startswith("大") for line in result.stdout.split())
    for suffix in ("txt", "jsonl", "nt", "ttl"):
        out = tmp_path / f"some.{suffix}"
        result = CliRunner().invoke(lexicon, ["--limit", "20", "--out", str(out)])
        assert result.exit_code == 0, result.output
        assert out.read_text(encoding="utf-8").strip()
        assert not list(tmp_path.glob("*.tmp"))
    assert len((tmp_path / "some.txt").read_text(encoding="utf-8").splitlines()) == 20


@pytest.mark.parametrize("arguments", [["--where", "colour=red"], ["--where", "finger"], ["--out", "x.docx"]])
def test_wrong_use_is_said(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(lexicon, arguments)
    assert isinstance(result.exception, UsageError)

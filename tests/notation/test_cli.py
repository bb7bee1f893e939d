"""``guqin parse`` and ``guqin lexicon`` keep the contract's forms and statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from guqin_kg.cli import notation
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


@pytest.mark.parametrize(
    "arguments",
    [
        ["--where", "colour=red"],
        ["--where", "finger"],
        ["--out", "x.docx"],
        ["--count", "--out", "x.txt"],
        ["--count", "--limit", "5"],
        ["--curated", "--where", "finger=大"],
    ],
)
def test_wrong_use_is_said(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(lexicon, arguments)
    assert isinstance(result.exception, UsageError)
    assert result.exception.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("asked", ["3", "1", "0"])
def test_lexicon_as_json_is_one_array(asked: str) -> None:
    result = CliRunner().invoke(lexicon, ["--limit", asked, "--format", "json"])
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert len(rows) == int(asked)
    assert all(set(row) == {"reading", "iri"} for row in rows)
    assert not result.stderr


NOTHING = ["--where", "tone=散", "--where", "hui=9", "--where", "rule=core-open"]


def test_a_search_without_result_says_so() -> None:
    result = CliRunner().invoke(lexicon, [*NOTHING, "--format", "json"])
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert "tone=散 hui=9 rule=core-open" in result.stderr
    result = CliRunner().invoke(lexicon, NOTHING)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no notation" in result.stderr


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        ("string=8", "1, 2, 3, 4, 5, 6, 7"),
        ("string=" + "9" * 5_000, "1, 2, 3, 4, 5, 6, 7"),
        ("hui=14", "一, 二, 三, 四, 五, 六, 七, 八, 九, 十, 十一, 十二, 十三, 外, "),
        ("finger=勾", "大, "),
        ("finger=X", "大, "),
        ("technique=大", "勾, "),
        ("tone=空", "散"),
        ("ornament=吟", "绰, 注"),
        ("sound=loud", "open, stopped, harmonic"),
        ("form=round", "standalone"),
        ("rule=core", "core-open, core-stopped, "),
    ],
)
def test_a_value_no_notation_has_is_refused_with_those_there_are(asked: str, known: str) -> None:
    result = CliRunner().invoke(lexicon, ["--where", asked])
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_status == 2
    assert known in (result.exception.hint or "")
    assert len(result.exception.message) < 200


def test_a_long_search_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["--where", "rule=harmonic", "--count", "--format", "json"]
    quick = CliRunner().invoke(lexicon, asked)
    assert not quick.stderr
    monkeypatch.setattr(notation, "_SILENT", 0.0)
    slow = CliRunner().invoke(lexicon, asked)
    found = json.loads(slow.stdout)
    assert slow.stderr == f"2,000 of {found['total']:,} notations looked at\n"
    assert found == json.loads(quick.stdout)


def test_on_a_terminal_the_line_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notation, "_SILENT", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    said: list[str] = []
    monkeypatch.setattr(notation.click, "echo", lambda text="", **_: said.append(text))
    waiting = notation._Waiting(limit=50)
    waiting(20, 100)
    waiting.row()
    waiting.end()
    assert said == ["\r\033[K20 of 50 notations looked at", "\r\033[K"]


@pytest.mark.parametrize(
    ("arguments", "says", "says_not"),
    [
        (["--where", "finger= 大\n", "--limit", "2"], "lexicon --where finger=大 --limit 2 --out FILE", "shipped"),
        (["--curated", "--limit", "2"], "first 2 of the compound notations shipped", "\n#"),
    ],
)
def test_the_head_of_a_file_is_true_of_it(arguments: list[str], says: str, says_not: str, tmp_path: Path) -> None:
    out = tmp_path / "some.ttl"
    result = CliRunner().invoke(lexicon, [*arguments, "--out", str(out)])
    assert result.exit_code == 0, result.output
    head, *rest = out.read_text(encoding="utf-8").splitlines()
    assert head.startswith("# ")
    assert says in head
    assert says_not not in head
    assert not any(line.startswith("#") for line in rest)

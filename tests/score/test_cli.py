"""The commands pitch, play and score: output, exit statuses, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from guqin_kg.cli import cli
from guqin_kg.errors import GuqinKGError
from guqin_kg.sound.wav import read_wav

TABLE = '# piece. 1 = F3\nno,reading,side_notes,jianpu\n1,散勾二,,"6,,"\n2,大九挑七,吟,3\n3,,上七九,\n4,就挑六,,3\n'


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def run(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, list(words), input=stdin)


def test_pitch_json() -> None:
    result = run("pitch", "大九勾四", "撮大七七散四", "--format", "json")
    assert result.exit_code == 0
    one, two = json.loads(result.stdout)
    assert (one["note"], one["ratio"], one["fraction"], one["hz"]) == ("D3", "3/2", "2/3", 146.998)
    assert one["iri"].startswith("https://w3id.org/guqin/resource/")
    assert [e["string"] for e in two["events"]] == [7, 4]


def test_pitch_text_and_errors() -> None:
    result = run("pitch", "名外挑四", "--tuning", "蕤宾")
    assert "sources differ" in result.stdout
    assert "蕤宾调" in result.stderr
    bad = run("pitch", "xx", "散勾一", "--format", "json")
    assert bad.exit_code == 1
    first, second = json.loads(bad.stdout)
    assert "error" in first
    assert second["note"] == "C2"
    for words in (("pitch",), ("pitch", "散勾一", "--tuning", "none"), ("pitch", "散勾一", "--a4", "1")):
        assert isinstance(run(*words).exception, GuqinKGError)
    assert len(json.loads(run("pitch", "--tunings", "--format", "json").stdout)) == 15


def test_play(tmp_path: Path) -> None:
    result = run("play", "散挑七", "名十勾五", "--out", "a.wav")
    assert result.exit_code == 0
    samples, rate = read_wav(tmp_path / "a.wav")
    assert rate == 44_100
    assert len(samples) > 2 * rate
    run("play", "散挑七", "名十勾五", "--out", "b.wav")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    for words in (
        ("play", "散挑七"),
        ("play", "散挑七", "--out", "a.mp3"),
        ("play", "散挑七", "--out", "none/a.wav"),
        ("play", "少息", "--out", "c.wav"),
        ("play", "xx", "--out", "c.wav"),
        ("play", "散挑七", "--out", "c.wav", "--strings", "gut"),
    ):
        assert isinstance(run(*words).exception, GuqinKGError), words
    assert not (tmp_path / "c.wav").exists()


def test_one_file_a_notation(tmp_path: Path) -> None:
    result = run("play", "-", "--each", "sounds", "--format", "json", stdin="大九勾四\n勾四\n散勾一\n")
    rows = json.loads(result.stdout)
    assert [("file" in row) for row in rows] == [True, False, True]
    assert "determined" in rows[1]["error"]
    assert {p.name for p in (tmp_path / "sounds").iterdir()} == {row["file"] for row in rows if "file" in row}
    assert result.exit_code == 0


def test_score_and_its_outputs(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TABLE, encoding="utf-8")
    outs = [word for kind in ("wav", "mid", "musicxml", "html", "pdf") for word in ("--out", f"a.{kind}")]
    result = run("score", "a.csv", "--format", "json", *outs)
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert [e["reading"] for e in data["events"]] == ["散勾二", "大九挑七", "吟", "上七九", "就挑六"]
    assert data["events"][4]["carried"] == {"position": "59/100", "left_finger": "大"}
    assert data["events"][4]["pitches"][0]["note"] == "A3"
    assert data["comparison"]["notes"] == {
        "compared": 3,
        "within_tolerance": 3,
        "by_sound": {
            "open": {"compared": 1, "within_tolerance": 1},
            "stopped": {"compared": 2, "within_tolerance": 2},
            "harmonic": {"compared": 0, "within_tolerance": 0},
        },
    }
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("<img") == 5
    assert "就挑六" in page
    assert all((tmp_path / f"a.{kind}").stat().st_size > 200 for kind in ("wav", "mid", "musicxml"))


def test_the_page_is_headed_by_the_title_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "# 一曲, after 某谱. Source: a file\n# a second line\nno,reading\n1,散挑七\n", "utf-8"
    )
    assert run("score", "a.csv", "--out", "a.html").exit_code == 0
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<h1>一曲, after 某谱</h1><p>Source: a file</p><p>a second line</p>" in page


def test_score_names_the_place_of_a_breach(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("泛起 大七勾二\n散勾三 就勾四\n", encoding="utf-8")
    result = run("score", "b.txt")
    assert result.exit_code == 1
    assert "violation V08 at no. 1 (line 1) 泛起" in result.stdout
    data = json.loads(run("score", "b.txt", "--format", "json").stdout)
    assert {(f["rule"], f["line"]) for f in data["findings"]} >= {("V08", 1)}


def test_score_errors(tmp_path: Path) -> None:
    (tmp_path / "gbk.csv").write_bytes("散勾二".encode("gbk"))
    for words in (
        ("score", "none.csv"),
        ("score", "gbk.csv"),
        ("score", "https://w3id.org/guqin/resource/no-piece"),
        ("score", "gbk.csv", "--out", "a.doc"),
    ):
        assert isinstance(run(*words).exception, GuqinKGError), words


@pytest.mark.parametrize("command", ["pitch", "play", "score"])
def test_help_has_examples(command: str) -> None:
    assert "Examples:" in run(command, "--help").stdout

"""guqin draw, its sheets, guqin fonts; bad input."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from guqin_kg.cli import cli
from guqin_kg.errors import NotFoundError, UsageError


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, list(args))


def test_draw_writes_picture_label_and_svg(tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    result = run("draw", "大九勾四", "撮大七七散四", "--out", str(out), "--svg", "--size", "128", "--format", "json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["reading"] for row in rows] == ["大九勾四", "撮大七七散四"]
    for row in rows:
        with Image.open(row["image"]) as image:
            assert image.size == (128, 128)
        beside = json.loads(Path(row["image"]).with_suffix(".json").read_text("utf-8"))
        assert beside["components"] == row["components"]
        assert Path(row["svg"]).read_text("utf-8").startswith("<svg")
    assert not list(out.glob("*.part"))


def test_one_bad_reading_does_not_stop_the_others(tmp_path: Path) -> None:
    result = run("draw", "大九勾四", "不成字", "拍杀", "--out", str(tmp_path), "--format", "json")
    assert result.exit_code == 1
    rows = json.loads(result.stdout)
    assert "error" not in rows[0]
    assert rows[1]["error"]["hint"]
    assert rows[2]["error"]["code"] == "no-written-form"
    assert (tmp_path / "大九勾四.png").is_file()


@pytest.mark.parametrize(
    "args",
    [("--style", "nope"), ("--size", "0"), ("--size", "1000000"), ("--preset", "muddy")],
)
def test_bad_options(tmp_path: Path, args: tuple[str, ...]) -> None:
    result = run("draw", "大九勾四", "--out", str(tmp_path / "x"), *args)
    assert isinstance(result.exception, UsageError)
    assert result.exception.hint
    assert not (tmp_path / "x").exists()


def test_style_without_its_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from guqin_kg.draw import fonts

    monkeypatch.setattr(fonts, "folders", lambda: [tmp_path])
    result = run("draw", "大九勾四", "--style", "wenkai", "--out", str(tmp_path / "x"))
    assert isinstance(result.exception, NotFoundError)
    assert "fonts-lxgw-wenkai" in str(result.exception.hint)


def test_out_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("mine")
    result = run("draw", "大九勾四", "--out", str(tmp_path / "f"))
    assert isinstance(result.exception, UsageError)
    assert (tmp_path / "f").read_text() == "mine"


def test_fonts_lists_styles() -> None:
    rows = json.loads(run("fonts", "--format", "json").stdout)
    families = {row["family"] for row in rows if row["usable"]}
    assert families >= {"kai", "song", "handwritten"}
    assert sum(row["family"] == "handwritten" and row["usable"] for row in rows) >= 2
    assert all(row["licence"] and row["install"] for row in rows)


PIECE = """# a phrase
散挑七 大九勾四 名十一注勾四 上七九
撮大七七散四 泛起 大七勾三

散历七六 泛止 少息
"""


def test_a_list_may_be_numbered(tmp_path: Path) -> None:
    from guqin_kg.draw.sheet import read_names

    names = tmp_path / "numbered.names"
    names.write_text("1\t大九勾四  # first\n2\t散挑七\n\n三 四\n", "utf-8")
    assert read_names(names) == [["大九勾四", "散挑七"], ["三", "四"]]


def test_a_list_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    names = tmp_path / "latin.names"
    names.write_bytes(b"# ok\n\xff\xfe\n")
    result = run("draw", "--sheet", str(names), "--out", str(tmp_path / "sheet.svg"))
    assert isinstance(result.exception, UsageError)
    assert (result.exception.code, result.exception.line) == ("not-utf8", 2)


@pytest.mark.parametrize("suffix", ["pdf", "svg", "png"])
def test_sheet(tmp_path: Path, suffix: str) -> None:
    names = tmp_path / "piece.names"
    names.write_text(PIECE, "utf-8")
    out = tmp_path / f"sheet.{suffix}"
    result = run("draw", "--sheet", str(names), "--out", str(out))
    assert result.exit_code == 0, result.output
    head = out.read_bytes()[:8]
    assert head.startswith({"pdf": b"%PDF-", "svg": b"<svg", "png": b"\x89PNG"}[suffix])


def test_columns_run_right_to_left_and_downwards() -> None:
    from guqin_kg.draw.sheet import lay_out
    from guqin_kg.notation.parse import parse

    laid = lay_out([[("大九勾四", parse("大九勾四"))] * 2, [("散挑七", parse("散挑七"))]], page=None)
    assert len(laid) == 1
    tops = [shape[0].mean(0) for shape in laid[0].shapes]
    assert tops[-1][0] < tops[0][0], "the second column is left of the first"
    assert max(t[1] for t in tops) > tops[0][1] + 30


def test_readings_beside_do_not_run_into_each_other() -> None:
    from guqin_kg.draw.sheet import Page, lay_out
    from guqin_kg.notation.parse import parse

    page = Page()
    names = ["上七八", "大十一半注托七", "撮大七七名九五", "名十一绰挑六", "散挑七"]
    laid = lay_out([[(name, parse(name)) for name in names]], readings=True, page=page)[0]
    ends = [(y - page.caption * len(text) / 2, y + page.caption * len(text) / 2) for _, y, text in laid.captions]
    assert all(after[0] >= before[1] for before, after in itertools.pairwise(ends))
    assert ends[0][0] >= page.margin


def test_a_reading_no_font_can_write_is_refused() -> None:
    from guqin_kg.draw.sheet import Laid, _caption_shapes
    from guqin_kg.draw.styles import available

    if not any(not s.bundled and s.family in ("kai", "song") for s in available()):
        pytest.skip("no font for readings is installed")
    with pytest.raises(UsageError, match="U\\+E123"):
        _caption_shapes(Laid(captions=[(0.0, 0.0, "七\ue123")]), 6.0)


def test_pdf_is_well_formed(tmp_path: Path) -> None:
    from guqin_kg.draw.sheet import Page, lay_out, to_pdf
    from guqin_kg.notation.parse import parse

    groups = [[("大九勾四", parse("大九勾四"))] * 300]
    pages = lay_out(groups)
    assert len(pages) > 1, "a long piece takes more pages"
    data = to_pdf(pages, Page())
    start = int(data.rsplit(b"startxref\n", 1)[1].split()[0])
    assert data[start:].startswith(b"xref")
    assert data.count(b"/Type/Page/") == len(pages)
    first = int(data[start:].split(b"\n")[3].split()[0])
    assert data[first:].startswith(b"1 0 obj")


def test_sheet_as_json(tmp_path: Path) -> None:
    names = tmp_path / "n"
    names.write_text("大九勾四\n大九勾八\n", encoding="utf-8")
    result = run("draw", "--sheet", str(names), "--out", str(tmp_path / "s.svg"), "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"pages": [str(tmp_path / "s.svg")], "left_out": 1}


def test_sheet_of_nothing_that_can_be_drawn(tmp_path: Path) -> None:
    names = tmp_path / "n"
    names.write_text("大九勾八\n", encoding="utf-8")
    result = run("draw", "--sheet", str(names), "--out", str(tmp_path / "s.pdf"))
    assert isinstance(result.exception, UsageError)
    assert not (tmp_path / "s.pdf").exists()


def test_empty_sheet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "n").write_text("# nothing\n")
    result = run("draw", "--sheet", str(tmp_path / "n"), "--out", str(tmp_path / "s.pdf"))
    assert isinstance(result.exception, UsageError)
    result = run("draw", "--sheet", str(tmp_path / "n"), "--out", str(tmp_path / "s.doc"))
    assert isinstance(result.exception, UsageError)

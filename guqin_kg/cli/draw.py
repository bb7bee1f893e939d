"""``guqin draw`` and ``guqin fonts``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from guqin_kg.cli.common import echo_json, format_option, leave, reading_grammar, talk, workspace_option
from guqin_kg.errors import DataError, GuqinKGError, UsageError


@click.command()
@click.argument("readings", nargs=-1, metavar="READING …")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder; with --sheet the file.")
@click.option("--style", default="kai", show_default=True, help="Name of a style (guqin fonts lists them).")
@click.option("--size", type=int, default=256, show_default=True, help="Longer side in pixels.")
@click.option("--svg", is_flag=True, help="Also write SVG.")
@click.option("--preset", default="clean", show_default=True, help="clean, print, handwritten or photo.")
@click.option("--seed", type=int, default=0, show_default=True, help="For presets other than clean.")
@click.option("--sheet", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Readings for a page.")
@click.option("--beside", is_flag=True, help="On a sheet: each reading beside its glyph.")
@format_option("text", "json")
@workspace_option()
def draw(
    readings: tuple[str, ...], out: Path, style: str, size: int, svg: bool, preset: str, seed: int,
    sheet: Path | None, beside: bool, fmt: str, workspace: Path | None,
) -> None:  # fmt: skip
    """Draw notations from their components, with component boxes beside each picture.

    For each reading a PNG and a JSON file of the same name: structure, layout, readings, IRI, and name, role and tight
    box of every component. With --sheet a page in columns from right to left (.pdf, .svg or .png).

    \b
    Examples:
      guqin draw 大九勾四 撮大七七散四 历七六 --out glyphs --svg
      guqin draw 名十一绰挑六 --out glyphs --preset print --seed 7 --size 64
      guqin draw --sheet piece.names --out piece.pdf
    """
    from guqin_kg.draw.engine import Engine
    from guqin_kg.draw.spec import check_size
    from guqin_kg.draw.styles import style as style_named

    style_named(style).font()
    check_size(size)
    if not readings and not sheet:
        raise UsageError("no reading given", hint="guqin draw READING --out glyphs")
    engine = Engine(reading_grammar(workspace))
    if sheet:
        _sheet(sheet, out, style, beside, fmt, engine)
        return
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file", hint="--out names a folder")
    rows: list[dict[str, Any]] = []
    failed = 0
    for reading in readings:
        try:
            rows.append(_one(reading, out, style, size, svg, preset, seed, engine))
        except UsageError:
            raise
        except DataError as error:
            failed += 1
            rows.append({"reading": reading, "error": error.to_json()})
            talk(f"guqin: {reading}: {error}")
    if fmt == "json":
        echo_json(rows)
    else:
        for row in rows:
            if "error" not in row:
                click.echo(f"{row['reading']}\t{row['ids']}\t{row['image']}")
    leave(1 if failed else 0)


def _one(
    reading: str, out: Path, style: str, size: int, svg: bool, preset: str, seed: int, engine: Any
) -> dict[str, Any]:
    import io

    from guqin_kg.draw import draw_spec, sample_spec
    from guqin_kg.draw.labels import record
    from guqin_kg.draw.sheet import write_bytes
    from guqin_kg.draw.svg import svg as as_svg
    from guqin_kg.notation.parse import parse

    notation = parse(reading, engine.grammar)
    spec = sample_spec(notation, preset, seed, size=size, styles=[style], reading=reading, engine=engine)
    drawing = draw_spec(spec, engine)
    row = record(drawing, engine.grammar)
    name = reading.replace("/", "_")
    buffer = io.BytesIO()
    drawing.image().save(buffer, "PNG")
    row["image"] = str(out / f"{name}.png")
    write_bytes(out / f"{name}.png", buffer.getvalue())
    if svg:
        row["svg"] = str(out / f"{name}.svg")
        write_bytes(out / f"{name}.svg", as_svg(spec, engine).encode())
    beside = {**row, "image": f"{name}.png", **({"svg": f"{name}.svg"} if svg else {})}
    write_bytes(out / f"{name}.json", (json.dumps(beside, ensure_ascii=False, indent=1) + "\n").encode())
    return row


def _sheet(names: Path, out: Path, style: str, beside: bool, fmt: str, engine: Any) -> None:
    from guqin_kg.draw.sheet import SUFFIXES, lay_out, read_names, write_sheet
    from guqin_kg.notation.parse import parse

    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"a sheet is {', '.join(SUFFIXES)}, not {out.name!r}", hint="--out sheet.pdf")
    groups = []
    failed = 0
    for group in read_names(names):
        row = []
        for reading in group:
            try:
                notation = parse(reading, engine.grammar)
                engine.layout(notation)
                row.append((reading, notation))
            except GuqinKGError as error:
                failed += 1
                talk(f"guqin: {reading} is left out: {error}")
        groups.append(row)
    groups = [g for g in groups if g]
    if not groups:
        raise UsageError("none of these readings can be drawn, so no page was written", file=names)
    written = write_sheet(lay_out(groups, style=style, readings=beside, engine=engine), out)
    if fmt == "json":
        echo_json({"pages": [str(path) for path in written], "left_out": failed})
    else:
        click.echo("\n".join(str(path) for path in written))
    leave(1 if failed else 0)


@click.command()
@format_option("text", "json")
def fonts(fmt: str) -> None:
    """Styles for drawing: where their fonts were found, under which licence, how to install the missing ones.

    \b
    Examples:
      guqin fonts
      GUQIN_FONTS=/my/fonts guqin fonts --format json
    """
    from guqin_kg.draw.styles import STYLES

    rows = []
    for style in STYLES.values():
        path = style.path()
        rows.append(
            {
                "style": style.name,
                "family": style.family,
                "label": style.label,
                "usable": style.bundled or path is not None,
                "font": str(path) if path else None,
                "licence": style.licence,
                "install": style.install,
            }
        )
    if fmt == "json":
        echo_json(rows)
        return
    for row in rows:
        where = "bundled" if row["install"] == "bundled" else row["font"] or f"missing: {row['install']}"
        click.echo(f"{row['style']:18}{row['family']:13}{where}  [{row['licence']}]")

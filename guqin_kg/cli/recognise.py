"""``guqin recognize`` and ``guqin adapters``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from guqin_kg.cli.common import echo_json, format_option, leave, talk, workspace_option
from guqin_kg.errors import UsageError

_NAMED = 10
"""Lines of a lexicon that are left out are named up to here, and then counted."""


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top", type=click.IntRange(1, 20), default=5, show_default=True, help="Candidates for each image.")
@click.option("--adapter", metavar="NAME", help="An adapter of the shelf (guqin adapters), or its folder.")
@click.option(
    "--lexicon",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Only these readings: one a line, or JSON lines with `reading`.",
)
@click.option("--sequence", is_flag=True, help="The images follow each other in a piece: neighbours help to decide.")
@click.option("--careful", is_flag=True, help="See each image five times and take the mean; five times as slow.")
@click.option("--base", type=click.Path(path_type=Path, file_okay=False), help="Another model folder.")
@format_option("text", "json")
@workspace_option()
def recognize(
    images: tuple[Path, ...],
    top: int,
    adapter: str | None,
    lexicon: Path | None,
    sequence: bool,
    careful: bool,
    base: Path | None,
    fmt: str,
    workspace: Path | None,
) -> None:
    """Read pictures of single glyphs as notations.

    Answers are open: every notation that is well-formed under the graph's rules. Each candidate has its components with
    role, box (x, y, width, height in pixels of the image) and probability. Exit status 1 when an image cannot be read.

    \b
    Examples:
      guqin recognize crop.png
      guqin recognize *.png --adapter wusheng-1457 --top 3 --format json
      guqin recognize a.png b.png c.png --sequence
      guqin recognize *.png --careful --format json
      guqin recognize crop.png --lexicon book.txt
    """
    from guqin_kg.graph.workspace import existing_workspace, workspace_grammar
    from guqin_kg.notation.listing import read_list
    from guqin_kg.recognise.recogniser import Recogniser

    space = existing_workspace(workspace)
    reader = Recogniser.open(
        base=base,
        adapter=adapter,
        lexicon=read_list(lexicon) if lexicon else None,
        grammar=workspace_grammar(space),
        workspace=space.root if space else None,
    )
    rows = reader.recognise(list(images), top=top, sequence=sequence, careful=careful)
    for line in reader.skipped[:_NAMED]:
        talk(f"left out of the lexicon: {line}")
    if len(reader.skipped) > _NAMED:
        talk(f"  and {len(reader.skipped) - _NAMED} more lines of it")
    if fmt == "json":
        echo_json(rows)
    else:
        for row in rows:
            click.echo(_line(row))
        for hint in dict.fromkeys(row["error"].get("hint") for row in rows if "error" in row):
            talk(f"  hint: {hint}")
        unknown = rows[0]["model"].get("unknown") if rows and space is not None else None
        if unknown:
            talk(f"never shown to this model: {' '.join(unknown)}\n  {rows[0]['model']['hint']}")
    leave(1 if any("error" in row for row in rows) else 0)


def _line(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"{row['image']}\t-\t{row['error']['message']}"
    if not row["candidates"]:
        return f"{row['image']}\t-\t{row['message']} ({row['other_probability']:.2f})"
    found = "  ".join(f"{c['reading']} {c['probability']:.2f}" for c in row["candidates"])
    return f"{row['image']}\t{found}"


@click.command()
@click.option("--merge", metavar="NAME", help="Write the base with this adapter added in, as a model folder (--out).")
@click.option("--onnx", is_flag=True, help="Write encoder and decoder as ONNX files (--out), of the base or --merge.")
@click.option("--base", type=click.Path(path_type=Path, file_okay=False), help="With --out: another model folder.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="With --merge and --onnx: the new folder."
)
@format_option("text", "json")
@workspace_option()
def adapters(
    merge: str | None, onnx: bool, base: Path | None, out: Path | None, fmt: str, workspace: Path | None
) -> None:
    """List the adapters for books, hands and styles, merge one into its base, or export it.

    \b
    Examples:
      guqin adapters
      guqin adapters --format json
      guqin adapters --merge wusheng-1457 --out models/wusheng    then: guqin recognize --base models/wusheng …
      guqin adapters --onnx --merge wusheng-1457 --out wusheng-onnx    for programs that run ONNX networks
      guqin train recognizer --config adapt --data crops.jsonl --name my-book    puts one more on the shelf
    """
    from guqin_kg.graph.workspace import existing_workspace
    from guqin_kg.recognise import export, shelf, towers

    space = existing_workspace(workspace)
    root = space.root if space else None
    if merge or onnx or out:
        if not (merge or onnx) or not out:
            raise UsageError("--merge or --onnx, and --out, go together", hint="guqin adapters --merge NAME --out DIR")
        if onnx:
            written = export.networks(out, merge, base, root)
            said = f"{merge or 'the base'} as {export.ENCODER} and {export.DECODER} in {written}"
        else:
            written = export.merged(out, str(merge), base, root)
            said = f"{merge} merged into {written}: guqin recognize --base {written} IMAGE …"
        if fmt == "json":
            echo_json({"adapter": merge, "out": str(written)})
        else:
            click.echo(said)
        return
    rows = [{"model": shelf.BASE, **row} for row in shelf.adapters(root)] + towers.adapters(workspace=root)
    if fmt == "json":
        keys: tuple[str, ...] = ("name", "model", "folder", "base", "vocabulary", "graph")
        keys += ("crops", "readings", "credit", "measures", "damaged")
        echo_json([{key: row[key] for key in keys if key in row} for row in rows])
        return
    if not rows:
        talk("no adapters yet: guqin train recognizer --config adapt --data crops.jsonl --name NAME")
    for row in rows:
        size = f"{row.get('crops', '?')} crops, {row.get('readings', '?')} readings"
        if "damaged" in row:
            talk(f"{row['folder']}: {row['damaged']}\n  hint: train it again, or remove the folder")
            continue
        click.echo(f"{row['name']}\t{row['model']}\t{size}\t{row.get('credit', '')}")

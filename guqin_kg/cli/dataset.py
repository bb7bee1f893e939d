"""``guqin dataset``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from guqin_kg.cli.common import echo_json, format_option, talk, workspace_option
from guqin_kg.errors import NotFoundError


def _progress() -> Any:
    """A function for ``run_plan``: one line on a terminal, a line now and then elsewhere."""
    begun = time.monotonic()
    first: list[int] = []
    last = [0.0]

    def show(done: int, total: int) -> None:
        now = time.monotonic()
        first[:] = first or [done]
        if done < total and now - last[0] < (0.5 if sys.stderr.isatty() else 15):
            return
        last[0] = now
        made = done - first[0]
        speed = made / max(now - begun, 1e-6)
        left = f", {(total - done) / speed / 60:.1f} min left" if made and done < total else ""
        line = f"{done:,} of {total:,} pictures, {speed:,.0f}/s{left}"
        click.echo(("\r\033[K" if sys.stderr.isatty() else "") + line, err=True, nl=not sys.stderr.isatty())
        if done >= total and sys.stderr.isatty():
            click.echo("", err=True)

    return show


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the data set.")
@click.option("--glyphs", type=int, default=None, help="How many notations (default: all, about 26,000).")
@click.option("--per-glyph", type=int, default=70, show_default=True, help="Pictures of each.")
@click.option("--workers", type=int, default=0, help="Processes (default: one a core); the bytes do not depend on it.")
@click.option("--size", type=int, default=64, show_default=True, help="Longer side in pixels.")
@click.option("--frame", type=click.Choice(["square", "crop"]), default="square", show_default=True)
@click.option(
    "--preset", default="print", show_default=True, help="clean, print, handwritten, photo; several by comma."
)
@click.option("--style", "styles", multiple=True, help="Only these styles (guqin fonts); may be repeated.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--shards", "kind", type=click.Choice(["webdataset", "parquet"]), default="webdataset", show_default=True)
@click.option("--images-per-shard", type=int, default=4480, show_default=True)
@click.option("--readings", type=click.Path(path_type=Path), default=None, help="Draw these (one a line) instead.")
@click.option("--engine", type=click.Choice(["pool", "dask"]), default="pool", show_default=True)
@click.option("--dask-address", default=None, help="Scheduler of a running Dask cluster that sees the same folder.")
@format_option("text", "json")
@workspace_option()
def dataset(
    out: Path, glyphs: int | None, per_glyph: int, workers: int, size: int, frame: str, preset: str,
    styles: tuple[str, ...], seed: int, kind: str, images_per_shard: int, readings: Path | None, engine: str,
    dask_address: str | None, fmt: str, workspace: Path | None,
) -> None:  # fmt: skip
    """Pictures with exact labels at scale: WebDataset tar or Parquet shards.

    A run that was stopped, however, goes on where it was when given again. The same options give the same bytes,
    whatever the number of workers and the engine.

    \b
    Examples:
      guqin dataset --out data --glyphs 200 --per-glyph 10 --workers 2
      guqin dataset --out large --glyphs 19005 --per-glyph 70 --preset print,handwritten
      guqin dataset --out cluster --glyphs 500 --engine dask --workers 2 --shards parquet
    """
    from guqin_kg.cli.training import own_turtle
    from guqin_kg.dataset import make_plan, run_plan
    from guqin_kg.graph.workspace import existing_workspace, workspace_grammar
    from guqin_kg.notation.listing import read_list

    texts = None
    if readings is not None:
        if not readings.is_file():
            raise NotFoundError(f"no file {readings}", hint="one reading a line")
        texts = read_list(readings)
    space = existing_workspace(workspace)
    grammar, extra = workspace_grammar(space), tuple(map(str, own_turtle(space)))
    plan = make_plan(
        out, glyphs=glyphs, per_glyph=per_glyph, presets=tuple(p.strip() for p in preset.split(",")), styles=styles,
        size=size, frame=frame, seed=seed, images_per_shard=images_per_shard, format=kind, readings=texts,
        grammar=grammar, extra=extra,
    )  # fmt: skip
    talk(f"{plan.glyphs:,} notations x {plan.per_glyph} = {plan.images:,} pictures in {plan.shards:,} shards")
    begun = time.monotonic()
    index = run_plan(out, workers=workers, engine=engine, address=dask_address, progress=_progress())
    seconds = round(time.monotonic() - begun, 1)
    if fmt == "json":
        echo_json(
            {
                "out": str(out),
                "glyphs": plan.glyphs,
                "images": index["images"],
                "bytes": index["bytes"],
                "shards": len(index["shards"]),
                "seconds": seconds,
            }
        )
    else:
        click.echo(f"{index['images']:,} pictures, {index['bytes'] / 1e6:,.1f} MB, {seconds:,} s: {out}")

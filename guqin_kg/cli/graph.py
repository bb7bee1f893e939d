"""``guqin init``, ``build``, ``add``, ``remove``, ``import``: the graph and its edits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from guqin_kg.cli.common import echo_json, format_option, leave, talk, workspace_option
from guqin_kg.errors import UsageError


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--lexicon", type=click.Choice(["none", "full"]), default="none", show_default=True, help="Lexicon in the store."
)
def init(folder: Path, lexicon: str) -> None:
    """Make a workspace: graph/*.ttl for your own statements, guqin.toml, outputs.

    \b
    Examples:
      guqin init my-guqin
      guqin init my-guqin --lexicon full
    """
    from guqin_kg.graph.workspace import init_workspace

    ws = init_workspace(folder, lexicon=lexicon)
    click.echo(f"workspace {ws.root}: statements in graph/*.ttl, settings in guqin.toml")
    click.echo(f"next: cd {ws.root} && guqin build")


@click.command()
@click.option(
    "--lexicon", type=click.Choice(["none", "full"]), help="Also compose the 26,416 notations (default: guqin.toml)."
)
@click.option("--force", is_flag=True, help="Make everything anew.")
@format_option("text", "json")
@workspace_option()
def build(lexicon: str | None, force: bool, fmt: str, workspace: Path | None) -> None:
    """Ontology, curated set, lexicon and your statements into the store; nothing is done when nothing changed.

    \b
    Examples:
      guqin build
      guqin build --lexicon full
      guqin build --format json
    """
    from guqin_kg.graph.build import build as run
    from guqin_kg.graph.workspace import find_workspace

    ws = find_workspace(workspace)
    _, report = run(ws, lexicon=lexicon, force=force, say=talk)
    if fmt == "json":
        echo_json({"workspace": str(ws.root), **report.to_json()})
        return
    did = {"none": "nothing had changed", "edit": "applied the difference", "full": "built anew"}[report.action]
    click.echo(f"{did} in {report.seconds:.2f} s")
    if report.action == "edit":
        click.echo(f"  {report.added} statements added, {report.removed} removed ({', '.join(report.files)})")
    counts = report.counts
    click.echo(
        f"  {counts['statements']:,} statements, {counts['notations']:,} notations, "
        f"{counts['base_notations']} base notations, {counts['files']} files"
    )
    click.echo(f"  content {report.content}")
    click.echo(f"  store   {report.store}")


@click.command()
@click.argument("readings", nargs=-1)
@click.option("--from", "source_file", type=click.Path(path_type=Path), help="Add the statements of a Turtle file.")
@click.option("--dry-run", is_flag=True, help="Validate and show what would be touched; change nothing.")
@format_option("text", "json")
@workspace_option()
def add(readings: tuple[str, ...], source_file: Path | None, dry_run: bool, fmt: str, workspace: Path | None) -> None:
    """Add notations by reading, or the statements of a Turtle file: validated first, all or nothing.

    \b
    Examples:
      guqin add 大九绰勾四 撮大七七散四
      guqin add --from new-glyphs.ttl
      guqin add 大九勾四 --dry-run
    """
    from guqin_kg.graph.edit import add_file, add_readings
    from guqin_kg.graph.workspace import find_workspace

    if bool(readings) == bool(source_file):
        raise UsageError("give readings or --from FILE.ttl", hint="guqin add READING")
    ws = find_workspace(workspace)
    report = (
        add_file(ws, source_file, dry_run=dry_run, say=talk)
        if source_file
        else add_readings(ws, readings, dry_run=dry_run, say=talk)
    )
    _print_edit(report, fmt)


@click.command()
@click.argument("readings", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Show what would be touched; change nothing.")
@format_option("text", "json")
@workspace_option()
def remove(readings: tuple[str, ...], dry_run: bool, fmt: str, workspace: Path | None) -> None:
    """Remove notations of your own (readings or IRIs); refused while other statements of yours use them.

    \b
    Examples:
      guqin remove 大九绰勾四
      guqin remove gqr:n-da.9-gou-s4 --dry-run
    """
    from guqin_kg.graph.edit import remove_notations
    from guqin_kg.graph.workspace import find_workspace

    _print_edit(remove_notations(find_workspace(workspace), readings, dry_run=dry_run, say=talk), fmt)


def _print_edit(report: Any, fmt: str) -> None:
    if fmt == "json":
        echo_json(report.to_json())
        return
    for line in report.lines():
        click.echo(line)


@click.command("import")
@click.argument("format_", metavar="FORMAT", type=click.Choice(["names", "crops", "jzpnet", "ttl", "lingnan"]))
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--source", help="The source the data come from: an IRI, or the label of a source (made if new).")
@click.option(
    "--tradition", help="How positions of two digits are meant there: a tradition of the graph (decimal, between)."
)
@click.option("--dry-run", is_flag=True, help="Read and report; change nothing.")
@format_option("text", "json")
@workspace_option()
def import_data(
    format_: str, path: Path, source: str | None, tradition: str | None, dry_run: bool, fmt: str, workspace: Path | None
) -> None:
    """Published data into the workspace. What cannot be read is reported row by row and left out; the rest goes in.

    \b
    FORMAT:
      names    one reading a line (an index and a tab before it are allowed)
      crops    JSON lines with "file" and "reading"
      jzpnet   metadata_3.txt: id, token list, width, height, separated by tabs
      ttl      Turtle, also such as was written to the published vocabulary
      lingnan  the folder of the Lingnan guqin data: persons, works, transmission
    \b
    Examples:
      guqin import names names.txt
      guqin import crops labels.jsonl --source 五声琴谱 --tradition between
      guqin import ttl my-data.ttl --dry-run
    """
    from guqin_kg.graph.importers import run_import
    from guqin_kg.graph.workspace import find_workspace

    ws = find_workspace(workspace)
    report = run_import(ws, format_, path, source=source, tradition=tradition, dry_run=dry_run, say=talk)
    if fmt == "json":
        echo_json(report.to_json())
    else:
        for line in report.lines():
            click.echo(line)
    if report.imported == 0 and report.rows:
        leave(1)

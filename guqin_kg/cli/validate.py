"""``guqin validate``: the graph, or files against it, checked with the shapes of ``ontology/shapes``."""

from __future__ import annotations

from pathlib import Path

import click

from guqin_kg.cli.common import echo_json, format_option, leave, talk, workspace_option


@click.command()
@click.argument("files", metavar="[FILE.ttl …]", nargs=-1, type=click.Path(path_type=Path))
@click.option("--all", "show_all", is_flag=True, help="Print every row (text shows the first 40, violations first).")
@format_option("text", "json", "turtle")
@workspace_option()
def validate(files: tuple[Path, ...], show_all: bool, fmt: str, workspace: Path | None) -> None:
    """SHACL validation of the whole graph, or of FILES as if they were in it.

    Violations make the exit status 1; warnings (conventions) and remarks (style) do not.

    \b
    Examples:
      guqin validate
      guqin validate my-notations.ttl
      guqin validate my-notations.ttl --format json
      guqin validate --format turtle > report.ttl
    """
    from guqin_kg.graph.workspace import find_workspace
    from guqin_kg.validate.run import validate_files, validate_workspace

    ws = find_workspace(workspace)
    report = validate_files(ws, files, say=talk) if files else validate_workspace(ws, say=talk)
    if fmt == "json":
        echo_json(report.to_json())
    elif fmt == "turtle":
        click.echo(report.to_turtle(), nl=False)
    else:
        click.echo(report.to_text(limit=None if show_all else 40))
    leave(0 if report.conforms else 1)

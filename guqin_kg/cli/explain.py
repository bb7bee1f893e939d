"""``guqin explain``."""

from __future__ import annotations

from pathlib import Path

import click

from guqin_kg.cli.common import echo_json, format_option, talk, workspace_option


@click.command()
@click.argument("about", metavar="READING|IRI")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="Language.")
@format_option("text", "json")
@workspace_option()
def explain(about: str, lang: str, fmt: str, workspace: Path | None) -> None:
    """What each hand does, with which finger, where and in which order, what sounds, and on which sources that rests.

    \b
    Examples:
      guqin explain 大九勾四
      guqin explain 撮大七七散四 --lang en
      guqin explain gqr:rh-gou
      guqin explain 绰 --format json
    """
    from guqin_kg.explain import explain as run
    from guqin_kg.graph.build import build
    from guqin_kg.graph.workspace import find_workspace

    ws = find_workspace(workspace)
    generation, _ = build(ws, say=talk)
    found = run(ws, generation, about, lang)
    if fmt == "json":
        echo_json([e.to_json() for e in found])
        return
    for number, one in enumerate(found):
        if number:
            click.echo("")
        click.echo(one.text)

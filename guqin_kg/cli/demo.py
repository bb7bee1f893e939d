"""``guqin demo``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-out"),
    show_default=True,
    help="Folder for everything the tour makes.",
)
def demo(out: Path) -> None:
    """The main job end to end, in about five minutes on two cores; says where everything lies.

    \b
    Examples:
      guqin demo
      guqin demo --out tour
    """
    from guqin_kg.demo import run

    run(out, click.echo)

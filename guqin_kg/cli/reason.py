"""``guqin reason`` and ``guqin fmt``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from guqin_kg.cli.common import echo_json, format_option, leave, talk, workspace_option


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--reasoner",
    type=click.Choice(["auto", "hermit", "reasonable"]),
    default="auto",
    show_default=True,
    help="HermiT needs Java; reasonable (OWL RL) needs nothing.",
)
@click.option("--class", "of_class", metavar="NAME", help="List the members of one class, such as TwoHandNotation.")
@format_option("text", "json")
@workspace_option()
def reason(files: tuple[Path, ...], reasoner: Any, of_class: str | None, fmt: str, workspace: Path | None) -> None:
    """Check the graph for contradictions and fill the defined classes.

    FILES are Turtle files to reason over together with the ontology; without FILES, the workspace's own.
    Ends with status 1 when the graph contradicts itself, and names the contradiction.

    \b
    Examples:
      guqin reason
      guqin reason my-notations.ttl --format json
      guqin reason --reasoner reasonable --class MultiStringTechnique
    """
    from guqin_kg import reason as owl
    from guqin_kg.errors import NotFoundError
    from guqin_kg.graph.workspace import find_workspace

    base = None
    if not files:
        place = find_workspace(workspace)
        files, base = tuple(place.graph_files()), place.ontology_files()
    found = owl.reason(owl.released_triples(files, base=base), reasoner)
    members = None
    if of_class is not None and found.consistent:
        iri = owl.GQ + of_class.removeprefix("gq:")
        if iri not in found.declared:
            raise NotFoundError(
                f"the ontology has no class gq:{of_class.removeprefix('gq:')}",
                hint="docs/reference/ontology.md lists the classes",
            )
        members = sorted(i for i, classes in found.types.items() if iri in classes)
    if fmt == "json":
        echo_json(found.to_json() | ({} if members is None else {"members": members}))
    else:
        talk(f"{found.reasoner}: {found.triples} statements in {found.seconds:.2f} s")
        click.echo("consistent" if found.consistent else "INCONSISTENT")
        for clash in found.clashes:
            click.echo(f"  {clash.message['en']}\n  {clash.message['zh']}")
        if not found.consistent and not found.clashes:
            click.echo("  the reasoner gives no reason and no known pattern fits; remove recent statements one by one")
        if members is not None:
            click.echo("\n".join(members))
        elif found.consistent:
            for name, count in found.to_json()["inferred"].items():
                click.echo(f"  {name:<28} {count:>7} inferred")
    leave(0 if found.consistent else 1)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--check", is_flag=True, help="Change nothing; status 1 when a file would change.")
def fmt(files: tuple[Path, ...], check: bool) -> None:
    """Write Turtle files in the stable form of the ontology, so that an edit is a small diff.

    Comments at the head of a file and before a block are kept; those inside a block are lost.

    \b
    Examples:
      guqin fmt graph/mine.ttl
      guqin fmt --check ontology/data/*.ttl
    """
    from guqin_kg.errors import GraphSyntaxError
    from guqin_kg.graph.serialise import format_turtle, save_turtle

    changed = 0
    for path in files:
        text = path.read_text(encoding="utf-8")
        try:
            differs = format_turtle(text) != text if check else save_turtle(path, text)
        except SyntaxError as error:
            raise GraphSyntaxError(
                f"not well-formed Turtle: {error.args[0]}", file=path, line=error.lineno, hint="mend the line named"
            ) from None
        if differs:
            changed += 1
            click.echo(f"{'would change' if check else 'changed'} {path}")
    talk(f"{changed} of {len(files)} files {'would change' if check else 'changed'}")
    leave(1 if check and changed else 0)

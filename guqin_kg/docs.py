"""Reference pages generated from the things themselves: ``python -m guqin_kg.docs [--check]``.

Each page has a generator that returns its text; ``--check`` compares instead of writing (exit status 1 when stale).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from copy import copy
from importlib import import_module
from pathlib import Path

from guqin_kg.errors import NotFoundError


def cli_page() -> str:
    """The manual of all commands, from their own help texts."""
    import click

    from guqin_kg.cli import COMMANDS, cli

    lines = [
        "# Commands",
        "",
        "Generated from `guqin COMMAND --help` by `make docs`. Exit status: 0 fine, 1 the data says no, 2 wrong use.",
        "",
    ]
    context = click.Context(cli, info_name="guqin", max_content_width=110, terminal_width=110)
    for name in sorted(COMMANDS):
        command = cli.get_command(context, name)
        assert command is not None
        lines += _help(command, context, name, level=2)
    return "\n".join(lines).rstrip() + "\n"


def _help(command: object, parent: object, name: str, level: int) -> list[str]:
    import click

    assert isinstance(command, click.Command)
    assert isinstance(parent, click.Context)
    command = copy(command)
    command._help_option = None  # click keeps that of the first call, which may have been without the parent's settings
    context = click.Context(command, info_name=name, parent=parent, max_content_width=110, terminal_width=110)
    path = context.command_path
    out = [f"{'#' * level} `{path}`", "", "```text", command.get_help(context).rstrip(), "```", ""]
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            out += _help(found, context, child, level + 1)
    return out


# page below docs/ -> "module:function" that returns its text
PAGES: dict[str, str] = {
    "reference/queries.md": "guqin_kg.query.docs:page",
    "reference/cli.md": "guqin_kg.docs:cli_page",
    "reference/ontology.md": "guqin_kg.docs_ontology:page",
}


def page(name: str) -> str:
    """The text of the generated page ``name`` (a key of ``PAGES``)."""
    module, attribute = PAGES[name].split(":")
    generate: Callable[[], str] = getattr(import_module(module), attribute)
    return generate()


def docs_folder() -> Path:
    """``docs/`` of the checkout.

    Raises:
        NotFoundError: run from an installed wheel, which carries no docs.
    """
    place = Path(__file__).resolve().parent.parent / "docs"
    if not place.is_dir():
        raise NotFoundError("no docs folder here", hint="reference pages are generated in a checkout")
    return place


def main(arguments: list[str]) -> int:
    """Write all pages, or with ``--check`` say which are stale."""
    root = docs_folder()
    stale = []
    for name in PAGES:
        text = page(name)
        path = root / name
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    for name in stale:
        sys.stderr.write(f"{'stale' if '--check' in arguments else 'written'}: docs/{name}\n")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

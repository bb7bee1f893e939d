"""What all commands share: options, JSON output, exit statuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from guqin_kg.notation.grammar import Grammar


def format_option(*choices: str, default: str | None = None) -> Callable[[Any], Any]:
    """``--format`` with ``choices`` (the first is the default unless ``default`` is given)."""
    return click.option(
        "--format",
        "fmt",
        type=click.Choice(choices),
        default=default or choices[0],
        show_default=True,
        help="How to print the data; JSON goes alone to standard output.",
    )


def workspace_option() -> Callable[[Any], Any]:
    """``--workspace DIR``; None means the nearest workspace above the current folder, else the per-user one."""
    return click.option(
        "--workspace",
        "workspace",
        type=click.Path(path_type=Path, file_okay=False),
        default=None,
        help="Workspace folder (default: the nearest above the current folder, else a per-user one).",
    )


def reading_grammar(workspace: Path | None) -> Grammar:
    """The grammar of the workspace given or found, else the released one (no workspace is made)."""
    from guqin_kg.graph.workspace import existing_workspace, workspace_grammar

    return workspace_grammar(existing_workspace(workspace))


def echo_json(data: Any) -> None:
    """Print ``data`` as UTF-8 JSON on standard output, Chinese left readable."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))


def talk(message: str) -> None:
    """Say something to the person at the terminal, on standard error."""
    click.echo(message, err=True)


def leave(status: int) -> None:
    """End the command with ``status`` (0 fine, 1 the data says no, 2 used wrongly)."""
    sys.stdout.flush()
    if status:
        raise click.exceptions.Exit(status)

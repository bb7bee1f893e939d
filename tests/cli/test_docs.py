"""The manual cannot drift: generated pages are current, every command has help with an example."""

from __future__ import annotations

import click
import pytest

from guqin_kg.cli import COMMANDS, cli
from guqin_kg.docs import PAGES, docs_folder, page


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_page_is_current(name: str) -> None:
    written = docs_folder() / name
    assert written.exists(), f"run `make docs`: docs/{name} is missing"
    assert written.read_text("utf-8") == page(name), f"run `make docs`: docs/{name} is stale"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_helps_with_an_example(name: str) -> None:
    context = click.Context(cli, info_name="guqin")
    command = cli.get_command(context, name)
    assert command is not None
    text = command.get_help(click.Context(command, info_name=name, parent=context))
    assert "guqin " + name in text
    assert "xample" in text, f"guqin {name} --help shows no example"
    assert COMMANDS[name][2]


def test_a_page_does_not_depend_on_what_was_called_before() -> None:
    """Click keeps the help option of the first call, here one without the settings of `guqin`."""
    from click.testing import CliRunner

    from guqin_kg.cli.recognise import adapters

    adapters._help_option = None  # type: ignore[attr-defined]  # as in a new process
    assert "-h, --help" not in CliRunner().invoke(adapters, ["--help"]).output
    assert (docs_folder() / "reference/cli.md").read_text("utf-8") == page("reference/cli.md")

"""``guqin parse`` and ``guqin lexicon``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from guqin_kg.cli.common import echo_json, format_option, leave, talk, workspace_option
from guqin_kg.errors import UsageError
from guqin_kg.notation.grammar import Grammar, default_grammar, grammar_of


def _grammar(given: Path | None) -> Grammar:
    """The grammar of the workspace given, of the nearest one above, or of the per-user one; else the released one."""
    from guqin_kg.graph.workspace import SETTINGS_FILE, find_workspace, per_user_root
    from guqin_kg.inventory import load_inventory

    here = Path.cwd()
    if given is None and not any((d / SETTINGS_FILE).is_file() for d in (here, *here.parents, per_user_root())):
        return default_grammar()
    workspace = find_workspace(given)
    extra = [path for path in workspace.graph_files() if path.suffix == ".ttl"]
    if not extra and workspace.settings.ontology is None:
        return default_grammar()
    return grammar_of(load_inventory(extra, base=workspace.ontology_files()))


@click.command()
@click.argument("readings", nargs=-1, metavar="READING …")
@format_option("text", "json")
@workspace_option()
def parse(readings: tuple[str, ...], fmt: str, workspace: Path | None) -> None:
    """Read notations: from a reading to its structure.

    Short and full readings, simplified and traditional characters, any width of digits and inner spaces are accepted.
    "-" reads one notation a line from standard input. Exit status 1 if one of them cannot be read.

    \b
    Examples:
      guqin parse 大九绰勾四 撮大七七散四
      guqin parse 大指九徽绰勾四弦 --format json
      cat names.txt | guqin parse - --format json
    """
    from guqin_kg.notation.parse import parse_json

    if not readings:
        raise UsageError("no reading given", hint="guqin parse 大九勾四")
    texts = [line.strip() for line in sys.stdin if line.strip()] if readings == ("-",) else list(readings)
    grammar = _grammar(workspace)
    found = [parse_json(text, grammar) for text in texts]
    if fmt == "json":
        echo_json(found)
    else:
        for item in found:
            _print(item)
    leave(1 if any("error" in item for item in found) else 0)


def _print(item: dict[str, Any]) -> None:
    if "error" in item:
        error = item["error"]
        talk(f"{item['reading']}: {error['message']} (character {error['at'] + 1})")
        if error["hint"]:
            talk(f"  hint: {error['hint']}")
        return
    click.echo(f"{item['reading']}  [{item['form']}]  {' '.join(item['components'])}  {item['ids']}")
    for note in [item, *item["notes"]]:
        said = ", ".join(f"{key} {_show(note[key])}" for key in _SHOWN if note.get(key) not in (None, [], ""))
        click.echo(f"  {said}" if note is item else f"    note: {said}")
    click.echo(f"  <{item['iri']}>")
    for decision in item["ambiguity"]:
        click.echo(f"  {decision['rule']}: {decision['en']}")


_SHOWN = ("sound", "tone", "left_finger", "hui", "ornaments", "technique", "strings", "modifiers", "count")


def _show(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return "/".join(f"{k}={v}" if v is not True else k for k, v in value.items() if v not in (None, False))
    return str(value)

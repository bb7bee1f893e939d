"""What the commands under ``guqin train`` have in common: options, cache, the command as typed, answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from guqin_kg.cli.common import echo_json, format_option, talk, workspace_option
from guqin_kg.errors import MissingExtraError, NotFoundError, UsageError

if TYPE_CHECKING:
    from types import ModuleType

    from guqin_kg.graph.workspace import Workspace

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


def _all(options: Iterable[Callable[[Any], Any]]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(list(options)):
            command = option(command)
        return command

    return decorate


def run_options(config: str, help_text: str = "A bundled name or a YAML file.") -> Callable[[Command], Command]:
    """Options of every training; ``config`` is the configuration run when none is named."""
    return _all(
        [
            click.option("--config", "config_name", default=config, show_default=True, help=help_text),
            click.option("--out", type=FOLDER, help="Where the result goes."),
            click.option("--steps", type=click.IntRange(1), help="Other number of steps than the configuration's."),
            click.option(
                "--minutes", type=click.FloatRange(0, min_open=True), help="Stop in good order after this time."
            ),
            click.option("--seed", type=int, help="Other seed than the configuration's."),
            click.option("--list", "list_only", is_flag=True, help="Show the bundled configurations."),
            click.option("--quiet", is_flag=True, help="No progress."),
            format_option("text", "json"),
            workspace_option(),
        ]
    )


def book_options() -> Callable[[Command], Command]:
    """Options of an adaptation to the labelled crops of a book."""
    return _all(
        [
            click.option("--data", type=FILE, help="adapt: JSON lines with `file` and `reading`."),
            click.option("--name", help="adapt: name of the adapter."),
            click.option("--credit", default="", help="adapt: source and licence of the crops, for the card."),
        ]
    )


def book(data: Path | None, name: str | None) -> tuple[Path, str]:
    """Crops and name of an adaptation, looked at before anything is loaded.

    Raises:
        UsageError: one is not given, or the name cannot be a folder.
        NotFoundError: no such file.
    """
    if data is None or name is None:
        raise UsageError("adapting needs --data and --name", hint="--data crops.jsonl --name my-book")
    if not name or name.startswith(".") or any(c in name for c in '/\\:*?"<>|\n\0'):
        raise UsageError(f"{name!r} cannot name an adapter", hint="letters, digits and dashes")
    if not data.is_file():
        raise NotFoundError(f"no crops file {data}", hint='JSON lines: {"file": "a.png", "reading": "…"}')
    return data, name


def hub_options(base_help: str) -> Callable[[Command], Command]:
    """Options of a training that may start from a model of the hub."""
    return _all(
        [
            click.option("--base", metavar="FOLDER|HUB-ID", help=base_help),
            click.option("--cache", type=FOLDER, help="For what is generated and drawn."),
            click.option(
                "--notations", type=click.IntRange(2), help="Other number of notations than the configuration's."
            ),
            click.option(
                "--trust-remote-code", is_flag=True, help="Run code that comes with the base. Only if you trust it."
            ),
        ]
    )


def need_torch() -> None:
    """Refuse kindly where the extra for training is not installed.

    Raises:
        MissingExtraError: names the module.
    """
    from importlib.util import find_spec

    for module in ("torch", "transformers", "peft", "safetensors"):
        if find_spec(module) is None:
            raise MissingExtraError(f"training needs {module}, which", "train")


def drawn_cache() -> Path:
    """Where pictures drawn for training are kept for the next run."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("guqin-kg")) / "drawn"


def typed() -> str:
    """The command as typed, for the card of the model: files by their name only."""
    return "guqin " + " ".join(Path(a).name if "/" in a else a for a in sys.argv[1:])


def own_turtle(space: Workspace | None) -> tuple[Path, ...]:
    """Turtle files of a workspace that may state signs of its own, for those who read the released graph themselves."""
    return tuple(path.resolve() for path in space.own_sign_files()) if space else ()


def given(out: Path | None) -> Path:
    """The folder for the result.

    Raises:
        UsageError: none was named.
    """
    if out is None:
        raise UsageError("say where the model goes", hint="--out DIR")
    return out


def warn_of_code(trust_remote_code: bool, base: str | None) -> None:
    """Say what trusting remote code means."""
    if trust_remote_code:
        talk(f"warning: code that comes with {base} will run with your rights")


def finish(fmt: str, folder: Path, about: Mapping[str, Any], *lines: str) -> None:
    """Print where the result lies, and how the run went."""
    if fmt == "json":
        echo_json({"out": str(folder), **about})
        return
    click.echo(str(folder))
    for line in lines:
        talk(line)


def show_configs(configs: ModuleType, fmt: str, line: Callable[[dict[str, Any]], str]) -> None:
    """List the bundled configurations, one a ``line`` or all as JSON."""
    rows: list[dict[str, Any]] = [{"name": n, **configs.load(n).model_dump(mode="json")} for n in configs.names()]
    if fmt == "json":
        echo_json(rows)
        return
    for row in rows:
        click.echo(f"{row['name']}\t{line(row)}")

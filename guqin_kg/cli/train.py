"""``guqin train`` and ``guqin evaluate``: thin faces of the recipes in ``training``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from guqin_kg.cli.common import echo_json, format_option, talk, workspace_option
from guqin_kg.cli.train_contrastive import evaluate_contrastive, train_contrastive
from guqin_kg.cli.train_dialogue import evaluate_dialogue, train_dialogue
from guqin_kg.cli.training import (
    FILE,
    FOLDER,
    book,
    book_options,
    drawn_cache,
    finish,
    given,
    need_torch,
    own_turtle,
    run_options,
    show_configs,
    typed,
)
from guqin_kg.errors import UsageError


@click.group()
def train() -> None:
    """Train models on what the graph generates.

    \b
    Examples:
      guqin train recognizer --config adapt --data crops.jsonl --name my-book
      guqin train recognizer --config tiny --out /tmp/tiny
      guqin train contrastive --list
    """


@train.command("recognizer")
@run_options("adapt", "adapt, adapt-mean, extend, base, further, tiny, or a YAML file.")
@book_options()
@click.option("--base", help="Model folder or hub id to start from, instead of what the configuration says.")
def train_recognizer(
    config_name: str,
    data: Path | None,
    name: str | None,
    base: str | None,
    out: Path | None,
    steps: int | None,
    minutes: float | None,
    seed: int | None,
    credit: str,
    list_only: bool,
    quiet: bool,
    fmt: str,
    workspace: Path | None,
) -> None:
    """Train the recogniser: adapt it to a book, teach it new components, or train a base from nothing.

    A run that was stopped goes on when the same command is given again.

    \b
    Examples:
      guqin train recognizer --config adapt --data crops.jsonl --name my-book
      guqin train recognizer --config extend --out models/mine      after adding a component to the graph
      guqin train recognizer --config base --out models/new
      guqin train recognizer --list
    """
    from training import config as configs

    if list_only:
        show_configs(configs, fmt, _shortly)
        return
    need_torch()
    from guqin_kg import resources
    from guqin_kg.graph.workspace import existing_workspace
    from guqin_kg.recognise import adapter_folders, shelf
    from training import hub

    config = configs.load(config_name, steps=steps, max_minutes=minutes, seed=seed)
    space = existing_workspace(workspace)
    bundled = resources.folder("models") / shelf.BASE if config.starts_from == "bundled" else None
    start = hub.folder_of(base) if base else bundled
    if start is None and config.starts_from == "given":
        raise UsageError(
            f"the configuration {config_name} goes on from a model that was made before", hint="say which: --base DIR"
        )
    about: dict[str, Any]
    if config.recipe == "adapt":
        assert start is not None  # a configuration that says otherwise is refused
        data, name = book(data, name)
        from training.recipes import adapt

        own = space.root / "adapters" if space else adapter_folders.per_user()
        folder = out or adapter_folders.of_new(name, own, "adapters")
        _say_start(start, base, quiet)
        about = adapt.run(
            config, start, data, name, folder,
            cache=drawn_cache(), extra=own_turtle(space), credit=credit, quiet=quiet, command=typed(),
        )  # fmt: skip
        done = f"adapter {name}: {about['crops']} crops, {about['readings']} readings, {about['minutes']} minutes"
    else:
        for option, value in (("--data", data), ("--name", name), ("--credit", credit)):
            if value:
                raise UsageError(
                    f"{option} belongs to an adaptation; the configuration {config_name} trains a base on drawn images",
                    hint=f"leave {option} out, or adapt: --config adapt",
                )
        folder = given(out)
        from training.recipes import base as base_recipe

        _say_start(start, base, quiet)
        about = base_recipe.run(config, folder, base=start, extra=own_turtle(space), quiet=quiet, command=typed())
        done = f"{about['steps']} steps in {about['minutes']} minutes, drawn validation {about['drawn_validation']}"
    finish(fmt, folder, about, done)


def _say_start(start: Path | None, base: str | None, quiet: bool) -> None:
    if not quiet:
        talk(f"starting from {base or ('the bundled base' if start else 'nothing: all weights are new')}")


def _shortly(row: dict[str, Any]) -> str:
    """A configuration in a line of ``--list``."""
    times = f", the mean of {row['members']}" if row["members"] > 1 else ""
    starts = {"nothing": "", "bundled": ", from the bundled base", "given": ", from --base"}[row["start"] or "nothing"]
    return f"recipe {row['recipe']}, {row['steps']} steps of {row['batch']}{times}{starts}"


@click.group()
def evaluate() -> None:
    """Measure models on data they were not trained on.

    \b
    Examples:
      guqin evaluate recognizer --data crops.jsonl
      guqin evaluate contrastive --data crops.jsonl
    """


@evaluate.command("recognizer")
@click.option(
    "--data",
    required=True,
    type=FILE,
    help="JSON lines with `file` and `reading`.",
)
@click.option("--adapter", help="An adapter of the shelf.")
@click.option("--base", type=FOLDER, help="Another model folder.")
@click.option("--closed", is_flag=True, help="Restrict answers to the readings that occur in the data.")
@click.option("--pages", help="Only these pages, as 3,7,11.")
@click.option("--sequence", is_flag=True, help="Use neighbours (rows in the order of the file).")
@click.option("--careful", is_flag=True, help="See each picture five times.")
@click.option("--out", type=FOLDER, help="Write the report and plots here too.")
@format_option("text", "json")
@workspace_option()
def evaluate_recognizer(
    data: Path,
    adapter: str | None,
    base: Path | None,
    closed: bool,
    pages: str | None,
    sequence: bool,
    careful: bool,
    out: Path | None,
    fmt: str,
    workspace: Path | None,
) -> None:
    """Top-1, top-5, calibration, answers at 99 % precision, and what is mistaken for what.

    \b
    Examples:
      guqin evaluate recognizer --data labels.jsonl --pages 4,9,13,17
      guqin evaluate recognizer --data other-pages.jsonl --adapter my-book --closed --format json
    """
    from guqin_kg.graph.workspace import existing_workspace, workspace_grammar
    from guqin_kg.recognise.recogniser import Recogniser
    from training.evaluate import measure

    space = existing_workspace(workspace)
    reader = Recogniser.open(
        base=base, adapter=adapter, grammar=workspace_grammar(space), workspace=space.root if space else None
    )
    chosen = set(pages.split(",")) if pages else None
    report = measure.on_file(reader, data, pages=chosen, closed=closed, sequence=sequence, careful=careful)
    if out:
        measure.write(report, out)
    if fmt == "json":
        echo_json(report.to_json())
    else:
        click.echo(report.text())


train.add_command(train_contrastive)
train.add_command(train_dialogue)
evaluate.add_command(evaluate_contrastive)
evaluate.add_command(evaluate_dialogue)

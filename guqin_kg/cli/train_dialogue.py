"""``guqin train dialogue`` and ``guqin evaluate dialogue``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from guqin_kg.cli.common import echo_json, format_option, talk, workspace_option


def _ready() -> None:
    from guqin_kg.cli.train import _need_torch

    _need_torch()


@click.command("dialogue")
@click.option("--config", "config_name", default="ours", show_default=True, help="A bundled name or a YAML file.")
@click.option("--base", metavar="FOLDER|HUB-ID", help="Vision-language model to start from; `bundled` for ours.")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Folder of `guqin regenerate` (default: generate)."
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where the result goes.")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help="For dialogues and drawn pictures.")
@click.option("--steps", type=click.IntRange(1), help="Other number of steps than the configuration's.")
@click.option("--notations", type=click.IntRange(2), help="Other number of notations than the configuration's.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Stop in good order after this time.")
@click.option("--seed", type=int, help="Other seed than the configuration's.")
@click.option("--merge", is_flag=True, help="Write a whole model instead of an adapter.")
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with the base. Only if you trust it.")
@click.option("--list", "list_only", is_flag=True, help="Show the bundled configurations.")
@click.option("--quiet", is_flag=True, help="No progress.")
@format_option("text", "json")
@workspace_option()
def train_dialogue(
    config_name: str,
    base: str | None,
    data: Path | None,
    out: Path | None,
    cache: Path | None,
    steps: int | None,
    notations: int | None,
    minutes: float | None,
    seed: int | None,
    merge: bool,
    trust_remote_code: bool,
    list_only: bool,
    quiet: bool,
    fmt: str,
    workspace: Path | None,
) -> None:
    """Fine-tune a vision-language model on dialogues from the graph, and ask it about held-out notations.

    A run that was stopped goes on when the same command is given again. Only a hub id reaches the network.

    \b
    Examples:
      guqin train dialogue --list
      guqin train dialogue --config tiny --out /tmp/tiny
      guqin train dialogue --config experiment-3 --base Qwen/Qwen2.5-VL-3B-Instruct --out models/qwen
      guqin train dialogue --config ours --data out/dialogues --out models/dialogue
    """
    _ready()
    from training.dialogue import config as configs

    if list_only:
        _list(fmt)
        return
    from guqin_kg.errors import UsageError
    from guqin_kg.query.session import open_graph
    from training.recipes import dialogue as recipe

    config = configs.load(config_name, base=base, steps=steps, notations=notations, max_minutes=minutes, seed=seed)
    if out is None:
        raise UsageError("say where the model goes", hint="--out DIR")
    if trust_remote_code:
        talk(f"warning: code that comes with {config.base} will run with your rights")
    session = open_graph(workspace, say=talk)
    figures = recipe.dialogue(
        config, out, session, data=data, cache=cache, quiet=quiet, trust_remote_code=trust_remote_code, merge=merge,
        command="guqin " + " ".join(Path(a).name if "/" in a else a for a in sys.argv[1:]),
    )  # fmt: skip
    if fmt == "json":
        echo_json({"out": str(out), **figures})
        return
    click.echo(str(out))
    talk(f"{figures['steps']} steps, last loss {figures['loss']}")
    if "evaluation" in figures:
        from training.dialogue.evaluate import text

        talk(text(figures["evaluation"]))


def _list(fmt: str) -> None:
    from training.dialogue import config as configs

    rows: list[dict[str, Any]] = [{"name": n, **configs.load(n).model_dump(mode="json")} for n in configs.names()]
    if fmt == "json":
        echo_json(rows)
        return
    for row in rows:
        how = f"LoRA rank {row['lora']['rank']}" if row["lora"] else "all weights"
        count = row["notations"] or "all"
        click.echo(f"{row['name']}\t{count} notations, {row['dialogues']} turns, {row['steps']} steps, {how}")


@click.command("dialogue")
@click.option("--model", default="bundled", show_default=True, help="Folder of a model or adapter, or a hub id.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder of `guqin regenerate`.")
@click.option("--notations", type=click.IntRange(1), default=50, show_default=True, help="Held-out ones to ask about.")
@click.option("--scope", type=click.Choice(["curated", "lexicon"]), default="curated", show_default=True)
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="Language.")
@click.option("--preset", type=click.Choice(["clean", "print", "handwritten", "photo"]), default="clean")
@click.option("--seed", type=int, default=1, show_default=True, help="Decides pictures and wording.")
@click.option(
    "--others",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Ask about this many pictures that are no jianzi too (needs a Chinese font).",
)
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with the model. Only if you trust it.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write evaluation.json here too.")
@click.option("--card", is_flag=True, help="Enter the figures into the card of the model (a folder).")
@format_option("text", "json")
@workspace_option()
def evaluate_dialogue(
    model: str,
    data: Path | None,
    notations: int,
    scope: str,
    lang: str,
    preset: str,
    seed: int,
    others: int,
    trust_remote_code: bool,
    out: Path | None,
    card: bool,
    fmt: str,
    workspace: Path | None,
) -> None:
    """Facts a dialogue model has right about notations it was not trained on, judged by the graph.

    Each fact is asked with the picture alone; answers are parsed back, wording does not count. The same readings asked
    with a blank picture show what guessing gives.

    \b
    Examples:
      guqin evaluate dialogue --model models/dialogue
      guqin evaluate dialogue --model models/qwen --notations 200 --scope lexicon --format json
    """
    _ready()
    import tempfile

    from guqin_kg.query.session import open_graph
    from training.dialogue.evaluate import text, write
    from training.recipes import dialogue as recipe

    with tempfile.TemporaryDirectory() as cache:
        report = recipe.measure(
            model, open_graph(workspace, say=talk), data=data, notations=notations, scope=scope, lang=lang,
            preset=preset, seed=seed, others=others, cache=Path(cache), trust_remote_code=trust_remote_code,
        )  # fmt: skip
    if out:
        write(report, out)
    if card:
        from training.dialogue.card import add

        add(Path(model), f"{scope}, {preset}", report)
    if fmt == "json":
        echo_json(report)
    else:
        click.echo(text(report))

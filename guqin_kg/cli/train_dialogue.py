"""``guqin train dialogue`` and ``guqin evaluate dialogue``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from guqin_kg.cli.common import echo_json, format_option, talk, workspace_option
from guqin_kg.cli.training import (
    FILE,
    FOLDER,
    finish,
    given,
    hub_options,
    need_torch,
    run_options,
    show_configs,
    typed,
    warn_of_code,
)


@click.command("dialogue")
@run_options("ours")
@hub_options("Vision-language model to start from; `bundled` for ours.")
@click.option("--data", type=FOLDER, help="Folder of `guqin regenerate` (default: generate).")
@click.option("--merge", is_flag=True, help="Write a whole model instead of an adapter.")
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
    need_torch()
    from training.dialogue import config as configs

    if list_only:
        show_configs(configs, fmt, _line)
        return
    from guqin_kg.query.session import open_graph
    from training.dialogue.evaluate import text
    from training.recipes import dialogue as recipe

    config = configs.load(config_name, base=base, steps=steps, notations=notations, max_minutes=minutes, seed=seed)
    folder = given(out)
    warn_of_code(trust_remote_code, config.base)
    figures = recipe.dialogue(
        config, folder, open_graph(workspace, say=talk), data=data, cache=cache, quiet=quiet,
        trust_remote_code=trust_remote_code, merge=merge, command=typed(),
    )  # fmt: skip
    measured = [text(figures["evaluation"])] if "evaluation" in figures else []
    finish(fmt, folder, figures, f"{figures['steps']} steps, last loss {figures['loss']}", *measured)


def _line(row: dict[str, Any]) -> str:
    how = f"LoRA rank {row['lora']['rank']}" if row["lora"] else "all weights"
    return f"{row['notations'] or 'all'} notations, {row['dialogues']} turns, {row['steps']} steps, {how}"


@click.command("dialogue")
@click.option("--model", default="bundled", show_default=True, help="Folder of a model or adapter, or a hub id.")
@click.option("--data", type=FOLDER, help="Folder of `guqin regenerate`.")
@click.option("--crops", type=FILE, help="Ask about labelled crops (JSON lines with `file` and `reading`) instead.")
@click.option("--notations", type=click.IntRange(1), default=50, show_default=True, help="Held-out ones to ask about.")
@click.option(
    "--scope",
    type=click.Choice(["curated", "lexicon", "rules"]),
    default="curated",
    show_default=True,
    help="Which notations: the curated set, the published lexicon, or any that the reading rules allow.",
)
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="Language.")
@click.option(
    "--preset",
    type=click.Choice(["clean", "print", "handwritten", "photo", "varied"]),
    default="clean",
    show_default=True,
    help="How the pictures are drawn; varied: as those that the recogniser is taught with.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Decides pictures and wording.")
@click.option(
    "--others",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Ask about this many pictures that are no jianzi too (needs a Chinese font).",
)
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with the model. Only if you trust it.")
@click.option("--out", type=FOLDER, help="Write evaluation.json here too.")
@click.option("--card", is_flag=True, help="Enter the figures into the card of the model (a folder).")
@format_option("text", "json")
@workspace_option()
def evaluate_dialogue(
    model: str,
    data: Path | None,
    crops: Path | None,
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
      guqin evaluate dialogue --crops labels.jsonl --notations 100
      guqin evaluate dialogue --scope rules --preset varied
    """
    need_torch()
    import tempfile

    from guqin_kg.query.session import open_graph
    from training.dialogue.card import language
    from training.dialogue.evaluate import text, write
    from training.dialogue.vlm import place_of
    from training.recipes import dialogue as recipe

    warn_of_code(trust_remote_code, model)
    taught = language(Path(place_of(model)))
    if taught not in (None, lang):
        talk(f"this model was taught in {taught} alone: asked in {lang}, it answers at random; see --lang {taught}")
    with tempfile.TemporaryDirectory() as cache:
        report = recipe.measure(
            model, open_graph(workspace, say=talk), data=data, crops=crops, notations=notations, scope=scope, lang=lang,
            preset=preset, seed=seed, others=others, cache=Path(cache), trust_remote_code=trust_remote_code,
        )  # fmt: skip
    if out:
        write(report, out)
    if card:
        from training.dialogue.card import add

        add(Path(model), "real crops" if crops else f"{scope}, {preset}", report)
    if fmt == "json":
        echo_json(report)
    else:
        click.echo(text(report))

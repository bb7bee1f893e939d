"""``guqin train contrastive`` and ``guqin evaluate contrastive``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from guqin_kg.cli.common import echo_json, format_option, reading_grammar, workspace_option
from guqin_kg.cli.training import (
    FILE,
    FOLDER,
    book,
    book_options,
    drawn_cache,
    finish,
    given,
    hub_options,
    need_torch,
    own_turtle,
    run_options,
    show_configs,
    typed,
    warn_of_code,
)

if TYPE_CHECKING:
    from guqin_kg.graph.workspace import Workspace
    from guqin_kg.recognise.towers import Towers


@click.command("contrastive")
@run_options("ours")
@hub_options("Model to start from: `bundled`, a folder, or a CLIP-like model's hub id.")
@book_options()
@click.option("--start", metavar="FOLDER", help="New towers: recogniser whose encoder the image tower takes over.")
@click.option("--pages", help="adapt: only the crops of these pages, as 1,2,3.")
@click.option("--names", type=FILE, help="These readings, one a line.")
@click.option("--epochs", type=click.IntRange(1), help="Other number of epochs than the configuration's.")
def train_contrastive(
    config_name: str,
    base: str | None,
    start: str | None,
    data: Path | None,
    name: str | None,
    pages: str | None,
    credit: str,
    names: Path | None,
    notations: int | None,
    out: Path | None,
    cache: Path | None,
    steps: int | None,
    epochs: int | None,
    minutes: float | None,
    seed: int | None,
    trust_remote_code: bool,
    list_only: bool,
    quiet: bool,
    fmt: str,
    workspace: Path | None,
) -> None:
    """Train image, text and audio encoders of notations into one space, or adapt them to a book.

    A run that was stopped goes on when the same command is given again. Only a hub id reaches the network. Several
    processes: torchrun --nproc_per_node 8 -m training.recipes.contrastive --config large --out DIR

    \b
    Examples:
      guqin train contrastive --list
      guqin train contrastive --config tiny --out /tmp/tiny
      guqin train contrastive --config adapt --data crops.jsonl --name my-book
      guqin train contrastive --config experiment-1 --names names.txt --out models/experiment-1
      guqin train contrastive --config experiment-2 --base OFA-Sys/chinese-clip-vit-base-patch16 --out models/clip
    """
    need_torch()
    from training.contrastive import config as configs

    if list_only:
        show_configs(configs, fmt, _line)
        return
    config = configs.load(
        config_name, base=base, start=start, notations=notations, max_steps=steps, epochs=epochs,
        max_minutes=minutes, seed=seed,
    )  # fmt: skip
    if config.recipe == "adapt":
        _adapt(config, data, name, pages, credit, out, cache, quiet, fmt, workspace)
        return
    folder = given(out)
    warn_of_code(trust_remote_code, config.base)
    from training.evaluate.retrieval import lines
    from training.recipes import contrastive as recipe

    figures = recipe.contrastive(
        config, folder, names=names, cache=cache or drawn_cache(), grammar=reading_grammar(workspace),
        quiet=quiet, trust_remote_code=trust_remote_code, command=typed(),
    )  # fmt: skip
    finish(fmt, folder, figures, f"{figures['steps']} steps, last loss {figures['loss']}", *lines(figures))


def _adapt(
    config: Any,
    data: Path | None,
    name: str | None,
    pages: str | None,
    credit: str,
    out: Path | None,
    cache: Path | None,
    quiet: bool,
    fmt: str,
    workspace: Path | None,
) -> None:
    from guqin_kg.graph.workspace import existing_workspace, workspace_grammar
    from guqin_kg.recognise import adapter_folders, towers
    from guqin_kg.recognise.words import Words

    data, name = book(data, name)
    space = existing_workspace(workspace)
    place = (space.root / "adapters" if space else adapter_folders.per_user()) / towers.BASE
    folder = out or adapter_folders.of_new(name, place, f"{towers.BASE}/adapters")
    from training.recipes import contrastive_adapt as recipe

    crops = recipe.crops_of(data, Words(workspace_grammar(space)))
    if not quiet:
        recipe.say_skipped(crops)
    if pages:
        crops = crops.of_pages(set(pages.split(",")))
    about = recipe.adapt(
        config, crops, name, folder, cache=cache or drawn_cache(), extra=own_turtle(space), credit=credit,
        command=typed(), quiet=quiet,
    )  # fmt: skip
    done = f"adapter {name}: {about['crops']} crops, {about['readings']} readings, {about['minutes']} minutes"
    finish(fmt, folder, about, done)


def _line(row: dict[str, Any]) -> str:
    how = f"LoRA rank {row['lora']['rank']} on {row['base'] or row['start']}" if row["lora"] else "all weights"
    data = f"{row['notations']} notations x {row['images_each']}"
    if row["recipe"] == "adapt":
        data = "labelled crops"
    elif row["source"] == "sampled":
        data = f"{row['drawn_images']} sampled notations"
    return f"{data}, {'-'.join(row['modalities'])}, batch {row['batch']}, {how}"


def _opened(model: Path | None, adapter: str | None, space: Workspace | None, trust_remote_code: bool) -> Towers:
    """The model to be measured: towers trained here, or one over a base of other people."""
    from guqin_kg.errors import UsageError
    from guqin_kg.recognise.towers import OVER, Towers

    if model is None or not (model / OVER).is_file():
        return Towers.open(model, adapter, space.root if space else None)
    if adapter is not None:
        raise UsageError(
            "adapters for books are laid over towers trained here, not over a model with a base of other people",
            hint="leave --adapter out, or give another --model",
        )
    need_torch()
    warn_of_code(trust_remote_code, str(model))
    from training.contrastive.over import HubEncoders

    return HubEncoders(model, trust_remote_code)


@click.command("contrastive")
@click.option("--model", type=FOLDER, help="Model folder (default: the bundled).")
@click.option("--adapter", metavar="NAME", help="Contrastive adapter for a book.")
@click.option("--data", type=FILE, help="Crops: JSON lines, `file`, `reading`.")
@click.option("--pages", help="Measure only the crops of these pages, as 3,7,11; all readings stay in the gallery.")
@click.option("--names", type=FILE, help="Draw these readings, one a line.")
@click.option("--notations", type=click.IntRange(2), help="Draw this many notations of the lexicon.")
@click.option("--styles", help="Draw in these styles (guqin fonts), as a,b.")
@click.option(
    "--preset", type=click.Choice(["clean", "print", "handwritten", "photo"]), default="clean", show_default=True
)
@click.option("--each", type=click.IntRange(1), default=1, show_default=True, help="Pictures a notation and style.")
@click.option("--audio", is_flag=True, help="Measure against sounds too (readings that sound by themselves).")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Decides notations and pictures."
)
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with the model's base. If you trust it.")
@click.option("--out", type=FOLDER, help="Write retrieval.json here too.")
@format_option("text", "json")
@workspace_option()
def evaluate_contrastive(
    model: Path | None,
    adapter: str | None,
    data: Path | None,
    pages: str | None,
    names: Path | None,
    notations: int | None,
    styles: str | None,
    preset: str,
    each: int,
    audio: bool,
    seed: int,
    trust_remote_code: bool,
    out: Path | None,
    fmt: str,
    workspace: Path | None,
) -> None:
    """How often the right reading, picture or sound is first, or among five: within batches of 12, and of all.

    The published figures rank within a batch of twelve; ranks over the whole gallery are the harder and useful ones.
    Runs without torch, unless the model was trained over a base of other people (CLIP, SigLIP, …).

    \b
    Examples:
      guqin evaluate contrastive --data labels.jsonl --pages 4,9,13,17
      guqin evaluate contrastive --data labels.jsonl --adapter wusheng-1457 --format json
      guqin evaluate contrastive --names names.txt --styles ma-shan-zheng,long-cang --preset handwritten --each 3
      guqin evaluate contrastive --notations 200 --audio
    """
    from guqin_kg.errors import UsageError
    from guqin_kg.graph.workspace import existing_workspace, workspace_grammar
    from training.evaluate import retrieval

    if (data is not None) + (names is not None) + (notations is not None) != 1:
        raise UsageError("measure on one thing: --data CROPS, --names FILE or --notations N", hint="see --help")
    space = existing_workspace(workspace)
    towers = _opened(model, adapter, space, trust_remote_code)
    grammar = workspace_grammar(space)
    if data is not None:
        report = retrieval.on_crops(towers, data, grammar, set(pages.split(",")) if pages else None)
    else:
        report = retrieval.on_drawn(
            towers, grammar, names=names, notations=notations, styles=styles.split(",") if styles else None,
            preset=preset, each=each, audio=audio, seed=seed,
        )  # fmt: skip
    if out:
        retrieval.write(report, out)
    if fmt == "json":
        echo_json(report)
        return
    for line in retrieval.lines(report):
        click.echo(line)

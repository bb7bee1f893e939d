"""``guqin regenerate``, ``status`` and ``export``: dialogues kept in step with the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from guqin_kg.cli.common import echo_json, format_option, talk, workspace_option

_SCOPE = click.option(
    "--scope",
    type=click.Choice(["curated", "lexicon"]),
    default="curated",
    show_default=True,
    help="curated: notations with a source, and your own; lexicon: every notation in the store.",
)
_SET = click.option("--set", "which", default="all", show_default=True, help="six, twenty-two, all, or a set of yours.")
_LANG = click.option(
    "--lang",
    type=click.Choice(["zh", "en", "both"]),
    default="zh",
    show_default=True,
    help="Language of the dialogues.",
)
_OUT = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Output folder (default: out/ of the workspace)."
)


def _run(
    workspace: Path | None, which: str, lang: str, scope: str, out: Path | None, seed: int, dry_run: bool, workers: int
) -> Any:
    from guqin_kg.dialogue.regenerate import regenerate as run
    from guqin_kg.graph.build import build
    from guqin_kg.graph.workspace import find_workspace

    ws = find_workspace(workspace)
    generation, _ = build(ws, say=talk)
    langs = ("zh", "en") if lang == "both" else (lang,)
    return run(
        ws,
        generation,
        which=which,
        langs=langs,
        scope=scope,
        out=out,
        seed=seed,
        dry_run=dry_run,
        workers=workers,
        say=talk,
    )


@click.command()
@_SET
@_LANG
@_SCOPE
@_OUT
@click.option("--seed", default=0, show_default=True, help="Decides the wording.")
@click.option("--drawings/--no-drawings", default=True, help="Draw the notations too (scope curated only).")
@click.option("--only-stale", is_flag=True, help="Only what an edit touched (always so after the first run).")
@click.option(
    "--workers", default=2, show_default=True, help="Processes for large runs; the bytes do not depend on it."
)
@format_option("text", "json")
@workspace_option()
def regenerate(
    which: str,
    lang: str,
    scope: str,
    out: Path | None,
    seed: int,
    drawings: bool,
    only_stale: bool,
    workers: int,
    fmt: str,
    workspace: Path | None,
) -> None:
    """Dialogues about the notations; after the first run only what an edit touched, with the bytes of a fresh run.

    \b
    Examples:
      guqin regenerate
      guqin regenerate --set twenty-two --lang both
      guqin regenerate --scope lexicon --set twenty-two --format json
    """
    del only_stale
    report = _run(workspace, which, lang, scope, out, seed, False, workers)
    drawn = _drawings(workspace, out, report) if drawings and scope == "curated" else None
    if fmt == "json":
        echo_json({**report.to_json(), **({"drawings": drawn} if drawn else {})})
        return
    others = f" ({report.others} of them of other sets or languages)" if report.others else ""
    click.echo(
        f"{report.total} records: {report.rewritten} rewritten, {report.unchanged} unchanged{others}, "
        f"{report.removed} removed ({report.seconds:.2f} s)"
    )
    _tell(report)
    if drawn:
        click.echo(f"drawings: {', '.join(f'{n} {what}' for what, n in drawn.items() if n) or 'none'}")
    click.echo(f"they lie in {report.out}")


def _drawings(workspace: Path | None, out: Path | None, report: Any) -> dict[str, int] | None:
    """Bring the drawings up to date; nothing is looked at when no record changed and they are there."""
    from guqin_kg.dialogue.drawings import LABELS, update_drawings
    from guqin_kg.dialogue.regenerate import library_of, scope_notations
    from guqin_kg.graph.store import current
    from guqin_kg.graph.workspace import find_workspace

    ws = find_workspace(workspace)
    root = out or ws.out
    if not report.graph_changed and (root / "images" / LABELS).exists():
        return None
    generation = current(ws.state)
    assert generation is not None
    return update_drawings(ws, root, scope_notations(generation, library_of(ws), "curated"), say=talk)


@click.command()
@_SET
@_LANG
@_SCOPE
@_OUT
@click.option("--seed", default=0, show_default=True, help="Decides the wording.")
@format_option("text", "json")
@workspace_option()
def status(which: str, lang: str, scope: str, out: Path | None, seed: int, fmt: str, workspace: Path | None) -> None:
    """What is stale and which edit made it so; nothing is written.

    \b
    Examples:
      guqin status
      guqin status --set six --format json
    """
    report = _run(workspace, which, lang, scope, out, seed, True, 1)
    if fmt == "json":
        echo_json(report.to_json())
        return
    current = report.unchanged - report.others
    if report.others:
        talk(f"{report.others} records of other sets or languages were not looked at")
    if not report.rewritten and not report.removed:
        click.echo(f"nothing is stale: {current} records are up to date")
        return
    click.echo(f"{report.rewritten} records are stale, {report.removed} to be removed, {current} up to date")
    _tell(report)
    click.echo("`guqin regenerate` brings them up to date")


def _tell(report: Any) -> None:
    from guqin_kg.query.terms import shorten

    for reason in report.to_json()["reasons"][:12]:
        click.echo(f"  {reason['records']:6d}  because of {shorten(reason['because'])}")
    if len(report.because) > 12:
        click.echo(f"  … and {len(report.because) - 12} more reasons")


@click.command()
@click.option(
    "--format",
    "fmt",
    type=click.Choice(
        ["messages", "minicpm-v", "llama-factory", "ms-swift", "parquet", "coco", "yolo", "jsonl", "webdataset"]
    ),
    default="messages",
    show_default=True,
    help="The trainer's form.",
)
@click.option("--preset", help="A published data set: 225x6, 13254x6 or 277x22.")
@_SET
@_LANG
@_OUT
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to write (default: beside the records).",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path, file_okay=False),
    help="For coco, yolo, jsonl, webdataset: a finished data set of `guqin dataset` (default: a small one is drawn).",
)
@workspace_option()
def export(
    fmt: str,
    preset: str | None,
    which: str,
    lang: str,
    out: Path | None,
    target: Path | None,
    images: Path | None,
    workspace: Path | None,
) -> None:
    """The generated data as the field's trainers take it; every file is checked before it is called done.

    \b
    Examples:
      guqin export --format llama-factory
      guqin export --format minicpm-v --set twenty-two
      guqin export --format messages --preset 277x22
      guqin export --format coco --images data --to data-coco
    """
    from guqin_kg.graph.workspace import find_workspace

    ws = find_workspace(workspace)
    if fmt in ("coco", "yolo", "jsonl", "webdataset"):
        from guqin_kg.cli.training import own_turtle
        from guqin_kg.dataset.exports import export_workspace
        from guqin_kg.graph.workspace import workspace_grammar

        grammar, extra = workspace_grammar(ws), tuple(map(str, own_turtle(ws)))
        echo_json(export_workspace(ws.root, fmt, images=images, target=target, grammar=grammar, extra=extra, say=talk))
        return
    from guqin_kg.dialogue.exports import run_export

    result = run_export(ws, fmt, preset=preset, which=which, lang=lang, out=out, target=target, say=talk)
    echo_json(result)

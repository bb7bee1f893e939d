"""Train and measure a contrastive model.

One process:   ``guqin train contrastive --config tiny --out DIR``
Several:       ``torchrun --nproc_per_node 2 -m training.recipes.contrastive --config large --out DIR``
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import GuqinKGError, UsageError
from training.contrastive.config import ContrastiveTraining, load

if TYPE_CHECKING:
    from guqin_kg.notation.grammar import Grammar


def contrastive(
    config: ContrastiveTraining,
    out: Path,
    *,
    names: Path | None = None,
    cache: Path | None = None,
    grammar: Grammar | None = None,
    quiet: bool = False,
    trust_remote_code: bool = False,
    command: str = "",
) -> dict[str, Any]:
    """Draw the data, train, measure, save.

    Args:
        config: the run.
        out: model folder; log and checkpoints beside the weights.
        names: file of readings, for configurations that want one.
        cache: where drawn images are kept (default ``out/cache``).
        grammar: of the graph whose signs are drawn (default: the released one).
        quiet: no progress.
        trust_remote_code: run code that comes with a hub base; only when the user asks.
        command: what was typed, for ``training.json``.

    Returns:
        The figures, also written to ``out/training.json``.
    """
    from training import output

    with output.only_run(out):
        return _run(config, out, names, cache, grammar, quiet, trust_remote_code, command)


def _run(
    config: ContrastiveTraining,
    out: Path,
    names: Path | None,
    cache: Path | None,
    grammar: Grammar | None,
    quiet: bool,
    trust_remote_code: bool,
    command: str,
) -> dict[str, Any]:
    from training import output, processes
    from training.contrastive import data, report, run

    rank, count = processes.world()
    if config.batch % count:
        raise UsageError(
            f"a batch of {config.batch} cannot be shared evenly by {count} processes",
            hint=f"--batch {math.ceil(config.batch / count) * count}, or another number of processes",
        )
    place = cache or out / "cache"
    if rank > 0:
        processes.wait()  # the first process draws, the others read what it wrote
    items = data.prepare(config, place, names, quiet=quiet or rank > 0, grammar=grammar)
    if rank == 0:
        processes.wait()
    model = run.build(config, items, trust_remote_code)
    figures = run.train(model, items, config, out, quiet=quiet).figures()
    if rank == 0:
        figures |= report.figures(model, items, config)
        if config.published:
            figures["published"] = config.published.model_dump()
        with output.writing(out, "write the model"):
            report.save(model, out, config, figures, about_of(config, command, grammar))
    return figures


def about_of(config: ContrastiveTraining, command: str, grammar: Grammar | None = None) -> dict[str, Any]:
    """What a model folder tells besides configuration and figures: command, graph, weights it started from."""
    from guqin_kg.notation.grammar import default_grammar
    from training.contrastive import data, run

    graph = data.graph_of(grammar or default_grammar())
    return {"command": command, "graph": graph, **run.origin_weights(config)}


def main(arguments: list[str] | None = None) -> int:
    """Command line for torchrun."""
    parser = argparse.ArgumentParser(prog="python -m training.recipes.contrastive", description=__doc__)
    parser.add_argument("--config", default="tiny")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--names", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--batch", type=int, help="of the whole run; a multiple of the number of processes")
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--notations", type=int)
    parser.add_argument("--images-each", type=int)
    parser.add_argument("--log-every", type=int)
    given = parser.parse_args(arguments)
    from guqin_kg.graph.workspace import existing_workspace, workspace_grammar
    from training import processes

    try:
        config = load(
            given.config, batch=given.batch, max_steps=given.max_steps, notations=given.notations,
            images_each=given.images_each, log_every=given.log_every,
        )  # fmt: skip
        command = processes.typed("training.recipes.contrastive", given.config, given.out)
        grammar = workspace_grammar(existing_workspace(given.workspace))
        figures = contrastive(config, given.out, names=given.names, cache=given.cache, grammar=grammar, command=command)
    except GuqinKGError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    sys.stdout.write(json.dumps(figures, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Bring the bundled model folder up to date with the graph: automaton, sequence prior, card.

::

    python -m training.recipes.release [--data LABELS --source TEXT]

Weights are never touched. With ``--data`` (crops with pages) the sequence prior is counted anew; ``--source`` says for
prior and card what these readings are and under which licence.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from guqin_kg import resources
from guqin_kg.errors import GuqinKGError, UsageError
from guqin_kg.notation.grammar import default_grammar
from guqin_kg.recognise import automata, shelf
from guqin_kg.recognise.words import Words
from training.recipes import prior
from training.recogniser import card


def refresh(
    folder: Path, data: Path | None = None, weight: float | None = None, source: str = "", *, bundled: bool = False
) -> list[str]:
    """Write what is derived from the graph (the prior: from ``data``) into a model folder.

    Args:
        folder: the model folder.
        data: labelled crops with pages, from which the sequence prior is counted.
        weight: of that prior (default: that of a new one).
        source: what the readings of ``data`` are and under which licence; must be given with ``data``.
        bundled: the card says that this is the bundled model.

    Returns:
        The names of what was written.

    Raises:
        UsageError: ``data`` without ``source``.
    """
    if data is not None and not source.strip():
        raise UsageError("readings to count need their source", hint="--source TEXT: which book, whose labels, licence")
    words = Words(default_grammar())
    model = shelf.load(folder)
    automata.save(
        folder / automata.NAME, words.automaton(model.vocabulary), automata.grammar_hash(words, model.vocabulary)
    )
    done = [automata.NAME]
    if data is not None:
        from training.recogniser.crops import read_crops

        counted = prior.count(read_crops(data, words, model.vocabulary).rows, words)
        counted.weight = weight if weight is not None else counted.weight
        counted.sources = [source]
        prior.write(counted, folder)
        done.append(prior.NAME)
    (folder / "README.md").write_text(card.of_model(folder, bundled=bundled), "utf-8")
    return [*done, "README.md"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="labelled crops with pages: count the sequence prior anew")
    parser.add_argument("--source", default="", help="with --data: what these readings are, and their licence")
    parser.add_argument("--weight", type=float, help="of that prior")
    parser.add_argument("--folder", type=Path, help="another model folder than the bundled")
    args = parser.parse_args(arguments)
    folder = args.folder or resources.folder("models") / shelf.BASE
    try:
        done = refresh(folder, args.data, args.weight, args.source, bundled=args.folder is None)
    except GuqinKGError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    sys.stderr.write(f"written: {', '.join(done)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

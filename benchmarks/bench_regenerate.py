"""Dialogues in batches against one SPARQL query per notation and turn on rdflib.

    python benchmarks/bench_regenerate.py --workspace DIR [--notations 2000] [--sample 2]

Prints seconds of CPU per notation of both, and their ratio.  The batched side reads the embedded store of the store;
the other side answers the same queries, one notation (and one key) at a time, on an rdflib graph in memory that holds
only the statements outside the lexicon, which favours it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any


def per_notation(generation: Any, turns: Any, library: Any, notations: list[str]) -> float:
    """Seconds a notation on rdflib, each view of each template asked by itself."""
    import rdflib

    from guqin_kg.dialogue.rows import View, view_of
    from guqin_kg.query.binding import EVERY, bind, prologue

    graph = rdflib.Graph()
    lines = [
        f"{quad.triple} ."
        for quad in generation.store
        if "/resource/n-" not in str(quad.subject) or any(quad.subject.value.startswith(n) for n in notations)
    ]
    graph.parse(data="\n".join(lines), format="nt")
    texts: dict[str, str] = {}

    def ask(spec: Any, key: str, value: str) -> list[Any]:
        params: dict[str, Any] = {key: EVERY}
        if spec.param("lang"):
            params["lang"] = turns.lang
        text = texts.setdefault(spec.name, prologue(bind(spec, params)))
        return list(graph.query(text, initBindings={key: rdflib.URIRef(value)}))

    started = time.process_time()
    for notation in notations:
        for template in (group[0] for group in turns.places):
            view = View(view_of(template), library)
            rows = ask(view.specs[0], "notation", notation)
            for (column, _), spec in zip(view.key.lookups, view.specs[1:], strict=True):
                for value in {row[column] for row in rows if row[column] is not None}:
                    ask(spec, "key", str(value))
    return (time.process_time() - started) / len(notations)


def main() -> None:
    """Measure and print."""
    from guqin_kg import resources
    from guqin_kg.dialogue.generate import generate
    from guqin_kg.dialogue.regenerate import library_of, scope_notations
    from guqin_kg.dialogue.templates import load_templates
    from guqin_kg.dialogue.turns import turn_sets
    from guqin_kg.graph.store import current
    from guqin_kg.graph.workspace import Workspace

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--notations", type=int, default=2000)
    parser.add_argument("--sample", type=int, default=2)
    options = parser.parse_args()
    ws = Workspace(options.workspace)
    generation = current(ws.state)
    assert generation is not None, "build the workspace first"
    library = library_of(ws)
    turns = turn_sets(load_templates([resources.folder("templates")], "zh"))["twenty-two", "zh"]
    every = scope_notations(generation, library, "lexicon")
    some = every[:: max(1, len(every) // options.notations)]
    started = time.process_time()
    records = list(generate(generation.store.query, library, [turns], some))
    batched = (time.process_time() - started) / len(records)
    size = sum(len(r.line) for r in records)
    print(f"batched: {len(records)} notations, {batched * 1000:.2f} ms CPU a notation, {size:,} bytes", flush=True)
    single = per_notation(generation, turns, library, [iri for iri, _ in some[: options.sample]])
    print(
        f"one query a notation and turn on rdflib: {single * 1000:.0f} ms CPU a notation ({options.sample} notations)"
    )
    print(f"ratio: {single / batched:.0f}")
    print(f"26,416 notations batched: {batched * 26416:.0f} s CPU, shared by two processes")
    print(f"26,416 notations one by one: {single * 26416 / 60:.0f} min")


if __name__ == "__main__":
    main()

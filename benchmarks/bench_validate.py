"""Validation: one added notation, the whole graph, and plain pySHACL on a sample.

Run: ``python benchmarks/bench_validate.py [--pyshacl N] [--out docs/benchmarks/validation.md]``. The full graph is
built in a temporary workspace with the lexicon of 26,416 notations. pySHACL is run on ``--pyshacl N`` notations with
the shapes that concern them, and the rest is extrapolated (it is linear in focus nodes); the table says so.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import pyoxigraph as ox

GQ = "https://w3id.org/guqin/ontology#"
TYPE = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")


def timed(run):
    """Result, wall seconds and CPU seconds of ``run()``."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Measure and print (and write) the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pyshacl", type=int, default=20)
    parser.add_argument("--store", type=Path, help="an existing store folder instead of building one")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    from guqin_kg.notation.parse import parse
    from guqin_kg.notation.rdf import to_triples
    from guqin_kg.validate import validate_additions
    from guqin_kg.validate.fast import validate_store
    from guqin_kg.validate.shacl import validate_with_pyshacl
    from guqin_kg.validate.shapes import released_shapes

    with tempfile.TemporaryDirectory() as folder:
        if args.store:
            from guqin_kg.graph.store import Generation

            manifest = json.loads((args.store.parent / "manifest.json").read_bytes())
            generation = Generation(args.store.parent, manifest)
        else:
            from guqin_kg.graph.build import build
            from guqin_kg.graph.workspace import init_workspace

            generation, _ = build(init_workspace(Path(folder) / "ws", lexicon="full"), lexicon="full")
        store = generation.store
        count = sum(1 for _ in store.quads_for_pattern(None, TYPE, ox.NamedNode(GQ + "CompoundNotation"), None))
        rows = []
        validate_additions(store, to_triples(parse("散勾三")))
        for reading in ("名十三注挑一", "撮大七七名九四", "上八上七"):
            triples = [t for t in to_triples(parse(reading)) if True]
            report, wall, cpu = timed(lambda t=triples: validate_additions(store, _renamed(t)))
            rows.append((f"one added notation ({reading}), full graph on disk", wall, cpu, len(report.results)))
        memory, wall, cpu = timed(generation.in_memory)
        rows.append((f"copy of {len(memory):,} statements into memory", wall, cpu, "-"))
        report, wall, cpu = timed(lambda: validate_store(memory))
        rows.append((f"whole graph, {count:,} notations, fast engine in memory", wall, cpu, len(report.results)))
        report, wall, cpu = timed(lambda: validate_store(store, copy=generation.in_memory))
        rows.append(("whole graph from disk, copy included, as `guqin validate`", wall, cpu, len(report.results)))
        if args.pyshacl:
            subjects = sorted(
                {
                    q.subject.value
                    for q in memory.quads_for_pattern(None, TYPE, ox.NamedNode(GQ + "SimpleNotation"), None)
                }
            )[:: max(1, count // args.pyshacl)][: args.pyshacl]
            piece = _sample(memory, subjects)
            names = ("Duplicate", "Undescribed", "Undeclared", "Drawable", "BasicNotation", "WrittenForm", "OnePref")
            only = [s.node for s in released_shapes().roots() if not any(n in s.name for n in names)]
            for cached in (True, False):
                _, wall, cpu = timed(lambda c=cached: validate_with_pyshacl(piece, only=only, cached=c))
                what = "queries parsed once" if cached else "as it is"
                rows.append((f"pySHACL, {len(subjects)} notations and what they use, {what}", wall, cpu, "-"))
                each = cpu / max(1, len(subjects))
                rows.append((f"… extrapolated to {count:,} notations (linear)", each * count, each * count, "-"))
    load = os.getloadavg()[0]
    lines = [
        "| what | wall s | CPU s | rows |",
        "| --- | ---: | ---: | ---: |",
        *(f"| {w} | {a:,.2f} | {c:,.2f} | {n} |" for w, a, c, n in rows),
        "",
        f"Machine: {os.cpu_count()} cores, load {load:.1f} while measuring (read the CPU column).",
    ]
    text = "\n".join(lines)
    print(text)
    if args.out:
        head = "# Benchmark: validation\n\n`python benchmarks/bench_validate.py` (method in its docstring).\n\n"
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(head + text + "\n", encoding="utf-8")


def _renamed(triples):
    """The same statements under a new IRI, so that none of them is in the graph yet."""
    root = triples[0].subject.value

    def term(t):
        value = getattr(t, "value", "")
        return ox.NamedNode(value.replace(root, root + "-new")) if value.startswith(root) else t

    return [ox.Triple(term(t.subject), t.predicate, term(t.object)) for t in triples]


def _sample(store, subjects):
    piece = ox.Store()
    todo, seen = [ox.NamedNode(s) for s in subjects], set()
    for _ in range(4):
        following = []
        for node in todo:
            if node in seen:
                continue
            seen.add(node)
            for quad in store.quads_for_pattern(node, None, None, None):
                if not quad.predicate.value.rpartition("#")[2].startswith("is"):
                    piece.add(quad)
                    if not isinstance(quad.object, ox.Literal):
                        following += [quad.object, quad.predicate]
        todo = following
    return piece


if __name__ == "__main__":
    main()

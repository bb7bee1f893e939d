"""The store: build, open, ask and edit, beside rdflib's memory store on the same statements in the same run.

Writes ``docs/benchmarks/store.md``.  Read the ratios: seconds depend on the machine and on what else it does.

    python benchmarks/bench_store.py            # the full lexicon; a few minutes
    python benchmarks/bench_store.py --small    # the released graph without it, in seconds; prints only
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from guqin_kg.graph.build import build
from guqin_kg.graph.edit import add_readings
from guqin_kg.graph.workspace import init_workspace
from guqin_kg.query import RdflibBackend
from guqin_kg.query.session import GraphSession, open_graph

QUERIES = {
    "components of one notation": ("components-of", {"notation": "大九勾四"}),
    "all notations using one sign": ("notations-using", {"component": "gqr:rh-gou"}),
    "by string": ("notations-by-string", {"string": 4}),
    "how many of each class": ("class-counts", {}),
    "most similar (Jaccard over all)": ("most-similar", {"notation": "大九勾四", "least": 0.6}),
}
RDFLIB_SECONDS = 90
EDIT = "大九绰注勾四"


def best(call: Callable[[], object], times: int) -> float:
    """Median seconds of ``times`` calls."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def limited(call: Callable[[], object]) -> float:
    """Seconds of one call, or infinity where it took longer than ``RDFLIB_SECONDS``."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(RDFLIB_SECONDS)
    try:
        return best(call, 1)
    except TimeoutError:
        return float("inf")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def megabytes() -> float:
    """Resident size of this process."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--no-rdflib", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = measure(Path(folder), options.small, not options.no_rdflib)
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if not options.small and not options.no_rdflib:
        page = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "store.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")


def measure(folder: Path, small: bool, with_rdflib: bool) -> list[str]:
    """The lines of the page."""
    ws = init_workspace(folder / "ws", lexicon="none" if small else "full")
    started = time.perf_counter()
    generation, _ = build(ws)
    made = time.perf_counter() - started
    counts = generation.manifest["counts"]
    size = sum(p.stat().st_size for p in generation.database.iterdir()) / 2**20
    nothing = best(lambda: build(ws), 5)
    opened = best(lambda: open_graph(ws).store, 5)
    session = GraphSession(ws, generation)
    session.query("components-of", {"notation": "大九勾四"})
    command = [sys.executable, "-m", "guqin_kg", "query", "components-of", "-p", "notation=大九勾四"]
    command += ["--workspace", str(ws.root)]
    process = best(lambda: subprocess.run(command, check=True, capture_output=True), 3)
    started = time.perf_counter()
    add_readings(ws, [EDIT])
    edit = time.perf_counter() - started
    ours = {label: best(lambda n=n, p=p: session.query(n, p, check=False), 3) for label, (n, p) in QUERIES.items()}
    lines = [
        "# The store",
        "",
        "Written by `python benchmarks/bench_store.py`. Seconds depend on the machine and its load; read the ratios.",
        "",
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end, "
        f"Python {platform.python_version()}; {counts['statements']:,} statements, {counts['notations']:,} notations, "
        f"{size:.0f} MB on disk.",
        "",
        "| what | seconds |",
        "| --- | ---: |",
        f"| build from nothing | {made:.1f} |",
        f"| build when nothing changed | {nothing:.3f} |",
        f"| open | {opened:.3f} |",
        f"| `guqin query components-of`, process start to end | {process:.2f} |",
        f"| add one notation: parse, validate, write, update the store | {edit:.2f} |",
        "",
    ]
    if not with_rdflib:
        return [*lines, *(f"| {label} | {seconds:.4f} |" for label, seconds in ours.items())]
    theirs, loaded, grown = rdflib_times(session, folder)
    lines += [
        f"rdflib's memory store on the same statements: {loaded:.1f} s to load (against {opened:.3f} s to open, "
        f"{loaded / opened:,.0f} times), {grown:.0f} MB of memory.",
        "",
        "| query | embedded store, ms | rdflib memory, ms | times faster |",
        "| --- | ---: | ---: | ---: |",
    ]
    for label, seconds in ours.items():
        other = theirs[label]
        slow = other == float("inf")
        other = RDFLIB_SECONDS if slow else other
        more = "more than " if slow else ""
        lines.append(f"| {label} | {seconds * 1000:.1f} | {more}{other * 1000:,.0f} | {more}{other / seconds:,.0f} |")
    return lines


def rdflib_times(session: GraphSession, folder: Path) -> tuple[dict[str, float], float, float]:
    """Seconds a query on rdflib, seconds to load, memory it took in MB."""
    import pyoxigraph as ox
    import rdflib

    path = folder / "graph.nt"
    session.store.dump(str(path), ox.RdfFormat.N_TRIPLES, from_graph=ox.DefaultGraph())
    gc.collect()
    before = megabytes()
    graph = rdflib.Graph()
    started = time.perf_counter()
    graph.parse(path, format="nt")
    loaded = time.perf_counter() - started
    backend = RdflibBackend(graph)
    times = {}
    for label, (name, params) in QUERIES.items():
        text = session.bind(name, params)
        times[label] = limited(lambda text=text: backend.query(text))
    return times, loaded, megabytes() - before


if __name__ == "__main__":
    main()

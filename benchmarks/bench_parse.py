"""Readings: coverage and speed of this parser, and of jianzipu 0.4.1 in an environment of its own.

    python benchmarks/bench_parse.py [--jianzipu VENV/bin/python] [--write docs/benchmarks/readings.md]

Readings come from ../shared (the 96 published names, a book of 1457, five scores), or else from the lexicon. Speed is
processor time of one process; a busy machine changes it little.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from guqin_kg.errors import ReadingError
from guqin_kg.notation.format import full_reading, short_reading
from guqin_kg.notation.grammar import Grammar, default_grammar
from guqin_kg.notation.lexicon import published
from guqin_kg.notation.parse import analyse, parse, parse_json
from guqin_kg.notation.rdf import write_ntriples

REPO = Path(__file__).resolve().parent.parent
SHARED = REPO.parent / "shared"
COLUMNS = ("reading", "side_notes", "abbreviated", "full", "raw_reading", "corrected_reading", "bracket")

# run by the other interpreter: readings on standard input, one JSON line back
PEER = """
import json, sys, time
from jianzipu.parser import PUZI
texts = json.load(sys.stdin)
ok = []
started = time.process_time()
for text in texts:
    try:
        PUZI.parse_string(text, parse_all=True)
        ok.append(True)
    except Exception:
        ok.append(False)
print(json.dumps({"ok": ok, "seconds": time.process_time() - started}))
"""


def corpora() -> dict[str, list[str]]:
    """Name of a collection to its different readings."""
    out: dict[str, list[str]] = {}
    if not SHARED.is_dir():
        return out
    seed = (SHARED / "data/seed96/names.txt").read_text(encoding="utf-8").splitlines()
    out["96 published names"] = [line.split("\t")[1].strip() for line in seed if line.strip()]
    rows = [json.loads(x) for x in (SHARED / "data/wushen/labels.jsonl").read_text(encoding="utf-8").splitlines()]
    out["五声琴谱 (1457), pages 1-18"] = list(dict.fromkeys(r["reading"] for r in rows if r["reading"]))
    for path in sorted((SHARED / "knowledge/scores").glob("*.csv")):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        found = [part for row in csv.DictReader(lines) for c in COLUMNS for part in (row.get(c) or "").split()]
        out[path.stem] = list(dict.fromkeys(found))
    return out


def readable(text: str, grammar: Grammar) -> bool:
    """True if the parser reads ``text``."""
    try:
        parse(text, grammar)
    except ReadingError:
        return False
    return True


def rate(work: Callable[[], int], least: float = 1.0) -> float:
    """Items a second of processor time, over at least ``least`` seconds."""
    done = 0
    started = time.process_time()
    while time.process_time() - started < least:
        done += work()
    return done / (time.process_time() - started)


def peer(python: str, texts: list[str]) -> dict:
    """What jianzipu reads of ``texts``."""
    # the package reads its data relative to the folder it is installed in, so that is where it has to run
    where = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    out = subprocess.run(
        [python, "-c", PEER], cwd=where, input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    return json.loads(out.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print, or write, the tables."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--jianzipu", help="interpreter of an environment with jianzipu 0.4.1")
    options.add_argument("--write", type=Path, help="write the page here")
    chosen = options.parse_args()
    grammar = default_grammar()
    sets = corpora() or {"lexicon": [short_reading(n, grammar) for n in list(published(grammar))[::53]]}
    lines = [
        "# Readings: coverage and speed",
        "",
        f"`python benchmarks/bench_parse.py`, {platform.machine()}, Python {platform.python_version()}; "
        "readings a second of processor time, one process.",
        "",
        "## Coverage (different readings)",
        "",
        "jianzipu 0.4.1 reads the full spelling only, so its second column gets our full spelling of each reading. It "
        "needs PyYAML, which it does not declare, and has to run in the folder it is installed in.",
        "",
        "| collection | readings | this project | jianzipu 0.4.1, as written | jianzipu 0.4.1, in full spelling |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    everything: list[str] = []
    for name, texts in sets.items():
        ours = [t for t in texts if readable(t, grammar)]
        everything += ours
        short = full = "not measured"
        if chosen.jianzipu:
            short = _share(peer(chosen.jianzipu, texts)["ok"])
            spelled = [full_reading(parse(t, grammar), grammar) if t in set(ours) else t for t in texts]
            full = _share(peer(chosen.jianzipu, spelled)["ok"])
        lines.append(f"| {name} | {len(texts)} | {len(ours) / len(texts):.1%} | {short} | {full} |")
    everything = list(dict.fromkeys(everything))
    lines += _speed(everything, grammar, chosen.jianzipu)
    page = "\n".join(lines) + "\n"
    if chosen.write:
        chosen.write.parent.mkdir(parents=True, exist_ok=True)
        chosen.write.write_text(page, encoding="utf-8")
    sys.stdout.write(page)


def _share(ok: list[bool]) -> str:
    return f"{sum(ok) / len(ok):.1%}"


def _speed(texts: list[str], grammar: Grammar, python: str | None) -> list[str]:
    notations = [parse(t, grammar) for t in texts]
    full = [full_reading(n, grammar) for n in notations]
    folded = [grammar.alphabet.code(grammar.alphabet.fold(t)).text for t in texts]

    def each(do: Callable[[str], object], items: list[str]) -> Callable[[], int]:
        def work() -> int:
            for item in items:
                do(item)
            return len(items)

        return work

    def match(text: str) -> None:
        next(m for rule in grammar.rules if (m := rule.regex.fullmatch(text)))

    rows = [
        ("this project: short reading to structure", rate(each(lambda t: parse(t, grammar), texts))),
        ("this project: full reading to structure", rate(each(lambda t: parse(t, grammar), full))),
        ("this project: with ambiguities decided", rate(each(lambda t: analyse(t, grammar).ambiguity, texts))),
        ("this project: everything `guqin parse` prints", rate(each(lambda t: parse_json(t, grammar), texts))),
        ("this project: matching alone (folded text)", rate(each(match, folded))),
    ]
    if python:
        found = peer(python, full)
        rows.append(("jianzipu 0.4.1: full spelling to its tree", len(full) / found["seconds"]))
    with contextlib.suppress(ImportError):
        rows += _alternatives(folded, grammar)
    slice_ = list(published(grammar))
    started = time.process_time()
    statements = write_ntriples(slice_, lambda text: None, grammar)
    spent = time.process_time() - started
    return [
        "",
        "## Speed",
        "",
        "| what | readings a second |",
        "| --- | ---: |",
        *(f"| {name} | {value:,.0f} |" for name, value in rows),
        "",
        f"The published size, {len(slice_):,} notations, as {statements:,} statements in N-Triples: {spent:.1f} s of "
        "processor time.",
    ]


def _alternatives(folded: list[str], grammar: Grammar) -> list[tuple[str, float]]:
    """The way not taken: the ``regex`` module on the same expressions."""
    import regex

    compiled = [regex.compile(rule.pattern, regex.DOTALL) for rule in grammar.rules]
    few = folded[:: max(len(folded) // 400, 1)]

    def with_regex() -> int:
        for text in few:
            next(m for pattern in compiled if (m := pattern.fullmatch(text)))
        return len(few)

    return [("not taken: the `regex` module, matching alone", rate(with_regex))]


if __name__ == "__main__":
    main()

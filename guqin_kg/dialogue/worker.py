"""A process that makes part of the records: ``python -m guqin_kg.dialogue.worker`` with jobs as JSON on standard input.

A process of its own, started by name, works from any program (a fork would share an open database, a spawned
``multiprocessing`` child would run the caller's script again).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from guqin_kg.errors import DataError, GuqinKGError


def run_jobs(jobs: Sequence[dict[str, Any]], workers: int) -> list[list[Any]]:
    """Do ``jobs`` in ``workers`` processes.

    Returns:
        For each job, in order, the rows (id, notation, split, fingerprint, length, templates) of its part file.

    Raises:
        DataError: a worker failed; carries its message.
    """
    shares = [list(range(len(jobs)))[n::workers] for n in range(workers)]
    running = []
    for share in shares:
        if not share:
            continue
        process = subprocess.Popen(
            [sys.executable, "-m", "guqin_kg.dialogue.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps([jobs[i] for i in share], ensure_ascii=False).encode())
        process.stdin.close()
        process.stdin = None
        running.append((share, process))
    results: list[list[Any]] = [[] for _ in jobs]
    failed: list[dict[str, Any]] = []
    for share, process in running:
        answer, _ = process.communicate()
        try:
            said = json.loads(answer)
        except ValueError:
            said = {"error": {"message": f"a worker ended with status {process.returncode}", "code": "worker"}}
        if isinstance(said, dict):
            failed.append(said["error"])
            continue
        for index, rows in zip(share, said, strict=True):
            results[index] = rows
    if failed:
        first = failed[0]
        raise DataError(
            first["message"],
            code=first.get("code"),
            hint=first.get("hint"),
            file=first.get("file"),
            line=first.get("line"),
        )
    return results


def do_job(job: dict[str, Any]) -> list[Any]:
    """Make the records of one part and write them to its file."""
    import pyoxigraph as ox

    from guqin_kg.dialogue.generate import generate
    from guqin_kg.dialogue.output import write_part
    from guqin_kg.dialogue.templates import load_templates
    from guqin_kg.dialogue.turns import turn_sets
    from guqin_kg.query.library import QueryLibrary

    store = ox.Store.read_only(job["database"])
    library = QueryLibrary([Path(f) for f in job["queries"]])
    templates = load_templates([Path(f) for f in job["templates"]], job["lang"])
    turns = turn_sets(templates)[job["set"], job["lang"]]
    notations = [(iri, reading) for iri, reading in job["notations"]]
    records = generate(store.query, library, [turns], notations, seed=job["seed"], with_images=job["images"])
    entries = write_part(Path(job["path"]), records)
    return [[e.id, e.notation, e.split, e.fingerprint, e.length, list(e.templates)] for e in entries]


def main() -> None:
    """Read jobs, answer with rows or with one error."""
    try:
        answer: Any = [do_job(job) for job in json.loads(sys.stdin.buffer.read())]
    except GuqinKGError as error:
        answer = {"error": error.to_json()}
    sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode())


if __name__ == "__main__":
    main()

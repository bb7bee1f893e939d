"""A process that makes part of the records: ``python -m guqin_kg.dialogue.worker``, jobs as lines of JSON on its input.

A process of its own, started by name, works from any program (a fork would share an open database, a spawned
``multiprocessing`` child would run the caller's script again).  The first line says what all jobs share; each further
line is one part, answered with one line when its file is written.
"""

from __future__ import annotations

import gc
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from guqin_kg.errors import DataError, GuqinKGError


def run_jobs(common: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]], workers: int) -> list[list[Any]]:
    """Do ``jobs`` in ``workers`` processes, each taking the next job when it is done with one.

    Returns:
        For each job, in order, the rows (id, notation, split, fingerprint, length, templates) of its part.

    Raises:
        DataError: a worker failed; carries its message.
    """
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(jobs)):
        todo.put(index)
    results: list[list[Any]] = [[] for _ in jobs]
    failed: list[dict[str, Any]] = []

    def serve(process: subprocess.Popen[bytes]) -> None:
        try:
            _send(process, common)
            while not failed:
                try:
                    index = todo.get_nowait()
                except queue.Empty:
                    break
                _send(process, jobs[index])
                said = json.loads(process.stdout.readline())  # type: ignore[union-attr]
                if isinstance(said, dict):
                    failed.append(said["error"])
                    break
                results[index] = said
            process.stdin.close()  # type: ignore[union-attr]
        except (OSError, ValueError):
            process.kill()
            failed.append({"message": f"a worker ended with status {process.wait()}", "code": "worker"})

    command = [sys.executable, "-m", "guqin_kg.dialogue.worker"]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(min(workers, len(jobs)))
    ]
    try:
        threads = [threading.Thread(target=serve, args=(p,), daemon=True) for p in processes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for process in processes:
            process.stdin.close()  # type: ignore[union-attr]
            process.stdout.close()  # type: ignore[union-attr]
            process.wait()
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


def _send(process: subprocess.Popen[bytes], value: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(value, ensure_ascii=False).encode() + b"\n")
    process.stdin.flush()


def answers(lines: IO[bytes]) -> Iterator[Any]:
    """What the worker answers to each job after the first line."""
    import pyoxigraph as ox

    from guqin_kg.dialogue.generate import Maker
    from guqin_kg.dialogue.output import write_part
    from guqin_kg.dialogue.templates import load_templates
    from guqin_kg.dialogue.turns import turn_sets
    from guqin_kg.query.library import QueryLibrary

    common = json.loads(next(lines))
    store = ox.Store.read_only(common["database"])
    library = QueryLibrary([Path(f) for f in common["queries"]])
    templates = load_templates([Path(f) for f in common["templates"]], common["lang"])
    turns = turn_sets(templates)[common["set"], common["lang"]]
    maker = Maker(store.query, library, [turns], seed=common["seed"], with_images=common["images"])
    gc.disable()  # rows are many and hold no cycles: looking for some costs a tenth of the run
    for line in lines:
        job = json.loads(line)
        notations = [(iri, reading) for iri, reading in job["notations"]]
        entries = write_part(Path(job["path"]), maker.records(notations))
        yield [[e.id, e.notation, e.split, e.fingerprint, e.length, list(e.templates)] for e in entries]


def main() -> None:
    """Read jobs, answer each with its rows, or with one error and no more."""
    try:
        for answer in answers(sys.stdin.buffer):
            _say(answer)
    except GuqinKGError as error:
        _say({"error": error.to_json()})


def _say(answer: Any) -> None:
    sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

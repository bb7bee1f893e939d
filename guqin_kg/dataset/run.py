"""Run a plan: check the disk, draw what is missing, keep few shards in flight, write the index."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from guqin_kg.dataset.plan import Plan, load_plan
from guqin_kg.dataset.shards import finished, items, make_shard, pictures, png
from guqin_kg.draw.labels import record_json
from guqin_kg.errors import LimitError, MissingExtraError, StoreLockedError, UsageError

INDEX_FILE = "index.json"
ENGINES = ("pool", "dask")
_MOST_WORKERS = 4096
_SPARE = 50_000_000


def estimate_bytes(out: Path, plan: Plan, samples: int = 24) -> int:
    """About how large the data set will be, from a few pictures drawn now."""
    step = max(1, plan.shards // 4)
    total = 0
    chosen = [pair for n in range(0, plan.shards, step) for pair in items(plan, n)[: samples // 4]][:samples]
    for _, drawing, preset in pictures(out, plan, chosen):
        label = len(record_json(drawing, preset=preset))
        image = len(png(drawing))
        total += (
            sum(-(-n // 512) * 512 + 512 for n in (image, label)) if plan.format == "webdataset" else image + label // 3
        )
    return int(total / len(chosen) * plan.images)


def check_disk(out: Path, plan: Plan, missing: int) -> int:
    """Bytes the ``missing`` shards need.

    Raises:
        LimitError: ``no-space``.
    """
    need = int(estimate_bytes(out, plan) * (missing / max(1, plan.shards)))
    free = shutil.disk_usage(out).free
    if need * 1.1 + _SPARE > free:
        raise LimitError(
            f"about {need / 1e6:,.0f} MB are needed, and {_SPARE // 10**6} MB to spare; {free / 1e6:,.0f} MB are free",
            code="no-space",
            file=out,
            hint="choose another disk, fewer glyphs or a smaller --size; nothing was written",
        )
    return need


def run_plan(
    out: Path | str,
    *,
    workers: int = 0,
    engine: str = "pool",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Make every shard of the plan in ``out`` that is not there yet.

    Args:
        out: folder with a plan.
        workers: processes (0 = one a core); the bytes do not depend on it.
        engine: ``pool`` (this machine) or ``dask``.
        address: of a running Dask scheduler; without it Dask starts ``workers`` local processes.
        progress: called with pictures done and pictures altogether.

    Returns:
        The index: images, bytes, shards (as ``index.json``).

    Raises:
        StoreLockedError: another run writes here.
        LimitError: not enough room.
        MissingExtraError: Dask is not installed.
    """
    out = Path(out).resolve()
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {engine!r}", hint="one of: " + ", ".join(ENGINES))
    if not 0 <= workers <= _MOST_WORKERS:
        raise UsageError(f"{workers} workers are not between 0 and {_MOST_WORKERS}", hint="0 = one a core")
    plan = load_plan(out)
    workers = workers or multiprocessing.cpu_count()
    lock = FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreLockedError(f"another run is writing to {out}", hint="wait for it, or stop it") from None
    try:
        for left in out.glob("*.part"):
            left.unlink()
        entries: dict[int, dict[str, Any]] = {}
        for number in range(plan.shards):
            entry = finished(out, plan, number)
            if entry:
                entries[number] = entry
        missing = [n for n in range(plan.shards) if n not in entries]
        if missing:
            check_disk(out, plan, len(missing))
        images = sum(e["images"] for e in entries.values())
        if progress:
            progress(images, plan.images)
        run = _dask(out, missing, workers, address) if engine == "dask" else _pool(out, missing, workers)
        for number, entry in run:
            entries[number] = entry
            images += entry["images"]
            if progress:
                progress(images, plan.images)
        index = {
            "images": images,
            "bytes": sum(e["bytes"] for e in entries.values()),
            "shards": [entries[n] for n in sorted(entries)],
        }
        part = out / f"{INDEX_FILE}.part"
        part.write_text(json.dumps(index, indent=1) + "\n", "utf-8")
        part.replace(out / INDEX_FILE)
        return index
    finally:
        lock.release()


def _end_with_parent() -> None:
    """In a worker: leave at once when the run is killed; its pool would otherwise wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _pool(out: Path, numbers: list[int], workers: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Shards from a pool of processes, at most two a worker in flight."""
    if workers == 1 or len(numbers) <= 1:
        for number in numbers:
            yield number, make_shard(out, number)
        return
    waiting = iter(numbers)
    workers = min(workers, len(numbers))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _end_with_parent) as pool:
        running: dict[Future[dict[str, Any]], int] = {}

        def fill() -> None:
            while len(running) < 2 * workers:
                number = next(waiting, None)
                if number is None:
                    return
                running[pool.submit(make_shard, out, number)] = number

        try:
            fill()
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
                fill()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _dask(out: Path, numbers: list[int], workers: int, address: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Shards through Dask: a running cluster, or local worker processes."""
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise MissingExtraError("Dask (distributed)", "data") from None
    if not numbers:
        return
    cluster = None
    if address is None:
        cluster = LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs=40
        )
    client = Client(address or cluster)
    try:
        waiting = iter(numbers)
        first = [n for _, n in zip(range(2 * max(1, workers)), waiting, strict=False)]
        running = {client.submit(make_shard, str(out), n, pure=False): n for n in first}
        finishing = as_completed(list(running))
        for future in finishing:
            yield running.pop(future), future.result()
            number = next(waiting, None)
            if number is not None:
                added = client.submit(make_shard, str(out), number, pure=False)
                running[added] = number
                finishing.add(added)
    finally:
        client.close()
        if cluster is not None:
            cluster.close()

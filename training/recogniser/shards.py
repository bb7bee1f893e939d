"""Drawn images on disk, in shards, written by background processes while the trainer reads.

A shard is a folder ``shard-00012`` with ``images.npy`` (uint8, ink 255), ``tokens.npy`` (int16, padded), ``boxes.npy``
(float16, NaN where there is none) and ``shard.json``. It is written under another name and renamed when whole, so a
reader never sees half a shard, and a run that was killed goes on with the next one missing. The same seed gives the
same shards, whichever process writes them.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from guqin_kg.errors import DataError, GuqinKGError, LimitError
from training import output

Draw = Callable[[Sequence[int]], list[tuple[np.ndarray, Sequence[int], np.ndarray]]]
"""From item seeds to windows, each with its token indices with begin and end, and a box per token."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Arrays of one shard; see the module docstring."""

    images: np.ndarray
    tokens: np.ndarray
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: np.ndarray) -> Shard:
        """Some of its rows."""
        return Shard(self.images[index], self.tokens[index], self.boxes[index])


def join(shards: Sequence[Shard]) -> Shard:
    """Several shards as one."""
    return Shard(
        np.concatenate([s.images for s in shards]),
        np.concatenate([s.tokens for s in shards]),
        np.concatenate([s.boxes for s in shards]),
    )


def pack(rows: Sequence[tuple[np.ndarray, Sequence[int], np.ndarray]], length: int) -> Shard:
    """Rows of (window, tokens, boxes) as padded arrays; ``length`` is the longest sequence the network reads."""
    images = np.stack([row[0] for row in rows])
    tokens = np.zeros((len(rows), length), np.int16)
    boxes = np.full((len(rows), length, 4), np.nan, np.float16)
    for at, (_, sequence, box) in enumerate(rows):
        tokens[at, : len(sequence)] = sequence
        boxes[at, : len(sequence)] = box
    return Shard(images, tokens, boxes)


def folder(root: Path, number: int) -> Path:
    """Where shard ``number`` lies."""
    return root / f"shard-{number:05d}"


def load(path: Path) -> Shard:
    """Read a shard.

    Raises:
        DataError: it is damaged.
    """
    try:
        return Shard(*(np.load(path / f"{name}.npy", allow_pickle=False) for name in ("images", "tokens", "boxes")))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"damaged shard: {error}", file=path, hint="delete this folder; it is drawn anew") from None


def write(root: Path, number: int, draw: Draw, seed: int, size: int, length: int) -> Path:
    """Draw and write shard ``number`` unless it is there; item seeds are ``(seed, number, index)``.

    Raises:
        LimitError: no space left; nothing half-written stays.
    """
    target = folder(root, number)
    if target.is_dir():
        return target
    started = time.time()
    shard = pack(draw([item_seed(seed, number, index) for index in range(size)]), length)
    part = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        part.mkdir(parents=True, exist_ok=True)
        for name in ("images", "tokens", "boxes"):
            np.save(part / f"{name}.npy", getattr(shard, name), allow_pickle=False)
        info = {"shard": number, "images": size, "seed": seed, "seconds": round(time.time() - started, 1)}
        (part / "shard.json").write_text(json.dumps(info), "utf-8")
        part.rename(target)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        if target.is_dir():
            return target
        raise LimitError(
            f"cannot write a shard: {error.strerror or error}",
            code="no-space",
            file=root,
            hint="free some space; the run goes on where it was",
        ) from None
    return target


def item_seed(seed: int, shard: int, index: int) -> int:
    """The 63-bit seed of one drawn item."""
    return int(np.random.SeedSequence([seed, shard, index]).generate_state(2, np.uint32).astype(np.uint64) @ (1, 2**31))


def _produce(
    make: Callable[[], Draw], root: Path, numbers: Sequence[int], seed: int, size: int, length: int, report: Connection
) -> None:
    """Draw in a process of its own; what goes wrong is told to the parent, never printed as a traceback."""
    os.nice(19)  # the trainer's threads wait for each other: whoever interrupts one halts all
    parent = os.getppid()
    try:
        with output.enough_memory():
            draw = make()
            for number in numbers:
                if os.getppid() != parent:
                    return
                write(root, number, draw, seed, size, length)
    except KeyboardInterrupt:
        return
    except GuqinKGError as error:
        told = {"code": error.code, "hint": error.hint, "file": error.file}
        _tell(report, isinstance(error, LimitError), error.message, told)
    except Exception as error:
        if os.environ.get("GUQIN_DEBUG"):
            raise
        hint = "the finished shards are kept; GUQIN_DEBUG=1 shows where it happened, for a report"
        _tell(report, False, f"drawing failed: {type(error).__name__}: {error}", {"hint": hint})


def _tell(report: Connection, limit: bool, message: str, told: dict[str, str | None]) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        report.send((limit, message, told))


class Producer:
    """Background processes that draw shards ``0 … count - 1``; with no workers they are drawn when asked for.

    Args:
        make: gives the drawing function inside the process (importable, for spawn).
        root: folder of the shards.
        count: how many shards.
        seed: seed of the run.
        size: images a shard.
        length: longest token sequence.
        workers: processes; 0 = draw in this one.
    """

    def __init__(
        self, make: Callable[[], Draw], root: Path, count: int, seed: int, size: int, length: int, workers: int
    ) -> None:
        self.make, self.root, self.count = make, root, count
        self.seed, self.size, self.length = seed, size, length
        self._draw: Draw | None = None
        self.waited = 0.0
        root.mkdir(parents=True, exist_ok=True)
        context = multiprocessing.get_context("spawn")
        self.processes = []
        self._reports: list[Connection] = []
        for worker in range(workers):
            reader, writer = context.Pipe(duplex=False)
            numbers = range(worker, count, workers)
            process = context.Process(
                target=_produce, args=(make, root, numbers, seed, size, length, writer), daemon=True
            )
            process.start()
            writer.close()  # the child has its own: when that ends, so does the pipe
            self.processes.append(process)
            self._reports.append(reader)

    def get(self, number: int) -> Shard:
        """Shard ``number``, waiting for it if it is still being drawn.

        Raises:
            LimitError: no space or no memory left where it is drawn.
            DataError: it cannot be drawn, or the drawing process died.
        """
        started = time.time()
        path = folder(self.root, number)
        if not self.processes and not path.is_dir():
            self._draw = self._draw or self.make()
            write(self.root, number, self._draw, self.seed, self.size, self.length)
        while not path.is_dir():
            alive = bool(self.processes) and self.processes[number % len(self.processes)].is_alive()
            self._raise_reported()
            if not alive and not path.is_dir():  # looked at again: it may have ended with this very shard
                raise DataError(
                    f"the drawing process ended before shard {number} was there",
                    hint="was it killed, or is memory short? the finished shards are kept: give the command again",
                )
            time.sleep(0.2)
        self.waited += time.time() - started
        return load(path)

    def _raise_reported(self) -> None:
        """Raise here what a drawing process told before it ended."""
        for report in self._reports:
            try:
                if not report.poll():
                    continue
                limit, message, told = report.recv()
            except (EOFError, OSError):  # it ended without a word
                continue
            raise (LimitError if limit else DataError)(message, **told)

    def close(self) -> None:
        """End the drawing processes."""
        for process in self.processes:
            process.terminate()
            process.join()
        for report in self._reports:
            report.close()
        self.processes, self._reports = [], []


class Blocks:
    """The order in which a run sees its images: fixed by the seed, whatever the speed of the drawing.

    Block ``k`` mixes the new shard ``k`` with ``passes - 1`` earlier ones; when all are drawn it goes round again.
    """

    def __init__(self, producer: Producer, seed: int, batch: int, passes: int) -> None:
        self.producer, self.seed, self.batch, self.passes = producer, seed, batch, passes
        self.per_block = max(1, producer.size * passes // batch)
        self._block = -1
        self._data: Shard | None = None

    def __call__(self, step: int) -> Shard:
        """The batch of ``step`` (0-based)."""
        block, at = divmod(step, self.per_block)
        rng = np.random.default_rng([self.seed, block, 7])
        newest = block % self.producer.count
        behind = min(block, self.producer.count - 1)
        chosen = [newest] + [int(n) for n in rng.integers(0, behind + 1, self.passes - 1)]
        if block != self._block or self._data is None:
            self._data = join([self.producer.get(n) for n in chosen])
            self._block = block
        order = np.random.default_rng([self.seed, block, 8]).permutation(len(self._data))
        return self._data.take(order[at * self.batch : (at + 1) * self.batch])

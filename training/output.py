"""Folders that runs write into: one run at a time, no half-written adapter, nobody's files deleted, and a plain word
when the disk or the memory will not do."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg.errors import LimitError, StoreLockedError, UsageError

ADAPTER = ("adapter.json", "adapter_config.json", "adapter_model.safetensors", "README.md")
"""The files of an adapter of ours; a folder that holds any other is never replaced."""


@contextmanager
def only_run(out: Path, *, beside: bool = False) -> Iterator[None]:
    """Hold the folder ``out`` for this run; of several processes of one run the first holds it.

    Args:
        out: the folder, made if need be.
        beside: keep the lock beside the folder, which will be replaced as a whole and is not made here.

    Raises:
        StoreLockedError: another run writes there.
        UsageError: it will be replaced and holds something else than an adapter.
        LimitError: nothing can be written there, or the memory does not suffice for what the block does.
    """
    from filelock import FileLock, Timeout

    if int(os.environ.get("RANK", "0")) > 0:
        with enough_memory():
            yield
        return
    out = out.resolve()  # `.` has no name that another could stand beside
    if beside:
        check_replaceable(out)
    lock = FileLock(out.with_name(f".{out.name}.lock") if beside else out / ".lock")
    with writing(out, "use this folder"):
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StoreLockedError(
                "another run is training into this folder", file=out, hint="wait for it, or give another --out"
            ) from None
    try:
        with enough_memory():
            yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


_NO_MEMORY = ("can't allocate memory", "cannot allocate memory", "not enough memory", "out of memory", "bad_alloc")
"""What torch says, as a plain RuntimeError, when an allocation fails."""


@contextmanager
def enough_memory() -> Iterator[None]:
    """Say in one line that the memory does not suffice for what the block does.

    Raises:
        LimitError: it does not.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        told = isinstance(error, RuntimeError) and any(part in str(error).lower() for part in _NO_MEMORY)
        if not (isinstance(error, MemoryError) or told or getattr(error, "errno", None) == errno.ENOMEM):
            raise
        raise LimitError(
            "there is not enough memory for this run",
            code="no-memory",
            hint="a smaller batch, fewer drawn_images or a smaller network in the configuration; or end other programs",
        ) from None


def check_replaceable(out: Path) -> None:
    """Refuse to replace a folder with anything in it but an adapter of ours.

    Raises:
        UsageError: ``out`` is a file, or holds other files; nothing was touched.
    """
    if out.is_dir():
        there = {path.name for path in out.iterdir()}
        foreign = sorted(there.difference(ADAPTER))
        if not there or ("adapter.json" in there and not foreign):
            return
        held = foreign[0] if foreign else sorted(there)[0]
        message = f"this folder would be replaced by the adapter, but holds {held}, which is not an adapter's"
    elif out.exists() or out.is_symlink():
        message = "this is in the way of the adapter's folder"
    else:
        return
    raise UsageError(message, code="not-ours", file=out, hint="give a new folder (--out), or move it away yourself")


@contextmanager
def writing(place: Path, what: str) -> Iterator[None]:
    """Say in one line that ``what`` could not be done in ``place``.

    Raises:
        LimitError: no room, not allowed, no such place.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        raise LimitError(
            f"cannot {what}: {getattr(error, 'strerror', None) or error}",
            code="no-space",
            file=place,
            hint="is there room, and may you write there? then give the same command again",
        ) from None


@contextmanager
def unfinished(out: Path, settings: Mapping[str, Any], *arrays: np.ndarray) -> Iterator[Path]:
    """A folder beside ``out`` for the checkpoints of a run whose result replaces ``out`` as a whole.

    A run of the same settings on the same arrays finds there what a killed one left, a run of others an empty folder.
    When the block ends well, it and those of other unfinished runs for ``out`` are removed.

    Args:
        out: folder of the result.
        settings: what makes the run this run and no other, as JSON.
        arrays: what it learns from.

    Raises:
        LimitError: it cannot be made.
    """
    out = out.resolve()
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=8)
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    before = f".{out.name}.run-"
    place = out.with_name(before + digest.hexdigest())
    with writing(place, "use this folder"):
        place.mkdir(parents=True, exist_ok=True)
    yield place
    for left in place.parent.iterdir():
        if left.name.startswith(before):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def replaced(out: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``out`` when the block ends well; else ``out`` stays as it was.

    Raises:
        UsageError: ``out`` holds something else than an adapter (see :func:`check_replaceable`).
        LimitError: it cannot be written.
    """
    out = out.resolve()
    check_replaceable(out)
    part, old = out.with_name(f".{out.name}.new"), out.with_name(f".{out.name}.old")
    with writing(out, "write it"):
        if old.exists() and not out.exists():  # killed between the two renames
            old.rename(out)
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            yield part
            check_replaceable(out)  # training takes a while, and somebody may have put something there
            if out.exists():
                out.rename(old)
            try:
                part.rename(out)
            except OSError:
                if old.exists():
                    old.rename(out)
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)

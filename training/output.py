"""Folders that runs write into: one run at a time, no half-written adapter, a plain word when the disk will not do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guqin_kg.errors import LimitError, StoreLockedError


@contextmanager
def only_run(out: Path, *, beside: bool = False) -> Iterator[None]:
    """Hold the folder ``out`` for this run; of several processes of one run the first holds it.

    Args:
        out: the folder, made if need be.
        beside: keep the lock beside the folder, which will be replaced as a whole and is not made here.

    Raises:
        StoreLockedError: another run writes there.
        LimitError: nothing can be written there.
    """
    from filelock import FileLock, Timeout

    if int(os.environ.get("RANK", "0")) > 0:
        yield
        return
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
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


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
def replaced(out: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``out`` when the block ends well; else ``out`` stays as it was.

    Raises:
        LimitError: it cannot be written.
    """
    part, old = out.with_name(f".{out.name}.new"), out.with_name(f".{out.name}.old")
    with writing(out, "write it"):
        if old.exists() and not out.exists():  # killed between the two renames
            old.rename(out)
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            yield part
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

"""One writer at a time per workspace; readers never wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from guqin_kg.errors import StoreLockedError


@contextmanager
def writing(state: Path, timeout: float, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the writer's lock of the state folder ``state``; wait up to ``timeout`` seconds for another writer.

    The lock is the operating system's: it goes with the process that held it, however that ended.

    Raises:
        StoreLockedError: another process still writes after ``timeout`` seconds.
    """
    from filelock import FileLock, Timeout

    state.mkdir(parents=True, exist_ok=True)
    lock = FileLock(state / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if say and timeout > 0:
            say(f"another process is writing to {state.parent}; waiting up to {timeout:g} s …")
        try:
            lock.acquire(timeout=timeout, poll_interval=0.05)
        except Timeout:
            raise StoreLockedError(
                f"another process is writing to {state.parent}",
                file=state / "lock",
                hint="try again when it has finished; lock_seconds in guqin.toml says how long to wait",
            ) from None
    try:
        yield
    finally:
        lock.release()

"""Change several files as one: a redo log, so that a process killed at any moment leaves all or nothing.

New contents are first written beside the journal and synced; then the journal itself appears by one rename, which is
the moment the change is decided; then the files are moved into place.  ``recover`` moves what a killed process left.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from guqin_kg.errors import DataError

_JOURNAL = "journal.json"


def write_file(path: Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` holds the old or the new bytes, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def commit(state: Path, root: Path, changes: Mapping[Path, bytes | None]) -> None:
    """Give the files under ``root`` the contents in ``changes`` (None deletes), all or none.

    Args:
        state: folder for the journal, on the same file system as ``root``.
        root: every path in ``changes`` lies below it.

    Raises:
        OSError: the disk is full or read-only; no file has changed then.
        DataError: a path lies outside ``root``.
    """
    folder = state / "journal"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    try:
        for number, (path, data) in enumerate(changes.items()):
            target = path.resolve()
            if not target.is_relative_to(root.resolve()):
                raise DataError(f"{path} lies outside {root}", code="outside")
            _writable(target)
            if data is not None:
                write_file(folder / f"{number}.new", data)
            entries.append(
                {
                    "path": target.relative_to(root.resolve()).as_posix(),
                    "new": None if data is None else f"{number}.new",
                }
            )
        write_file(folder / _JOURNAL, json.dumps(entries).encode())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    recover(state, root)


def _writable(path: Path) -> None:
    """Fail before anything is decided when the place cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise PermissionError(13, "cannot be written", str(path))


def recover(state: Path, root: Path) -> bool:
    """Finish a change that was decided; drop one that was not. True when files were moved."""
    folder = state / "journal"
    journal = folder / _JOURNAL
    if not journal.is_file():
        if folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
        return False
    for entry in json.loads(journal.read_bytes()):
        target = root / entry["path"]
        if entry["new"] is None:
            target.unlink(missing_ok=True)
        elif (folder / entry["new"]).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            (folder / entry["new"]).replace(target)
    journal.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    return True

"""The records on disk: an index of what lies where, and a merge that replaces both files without ever leaving a half.

``train.jsonl`` and ``val.jsonl`` are written beside the old ones, which step aside; the state file comes last.  A
process killed in between leaves files that do not fit the state: the next run makes all anew, with the same bytes.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from guqin_kg.dialogue.generate import Record
from guqin_kg.errors import StoreLockedError
from guqin_kg.graph.journal import write_file

SPLITS = ("train", "val")
STATE = ".state.json"
FORMAT = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the line of one record lies."""

    id: str
    notation: str
    split: str
    fingerprint: str
    path: Path
    offset: int
    length: int
    templates: tuple[str, ...] = ()


@dataclass
class State:
    """What the last run left: how each set was made, and the index of all records.

    Attributes:
        sets: set and language to what its records came from.
        entries: id to place of each record.
        plans: what the queries look at.
        scope: which notations were in scope, and in which graph.
        readings: IRI to reading of those notations.
    """

    sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    plans: dict[str, Any] = field(default_factory=dict)
    scope: dict[str, str] = field(default_factory=dict)
    readings: dict[str, str] = field(default_factory=dict)


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def read_state(folder: Path) -> State:
    """The state of ``folder``; empty when there is none or the files are not those it describes."""
    try:
        data = json.loads((folder / STATE).read_bytes())
        if data["format"] != FORMAT:
            return State()
        plans = data["plans"]
        if any(data["files"][s] != _stamp(folder / f"{s}.jsonl") for s in SPLITS):
            return State(plans=plans)
    except (OSError, ValueError, KeyError, TypeError):
        return State()
    names = data["notations"]
    entries = {}
    for split in SPLITS:
        path, offset = folder / f"{split}.jsonl", 0
        for identity, notation, fingerprint, length in data["records"][split]:
            entries[identity] = Entry(identity, names[notation], split, fingerprint, path, offset, length)
            offset += length
    readings = {n: r for n, r in zip(names, data["readings"], strict=True) if r is not None}
    return State(data["sets"], entries, plans, data["scope"], readings)


def part_paths(path: Path) -> dict[str, Path]:
    """Where the records of a part lie, by split."""
    return {split: path.with_name(f"{path.name}-{split}") for split in SPLITS}


def write_part(path: Path, records: Iterable[Record]) -> list[Entry]:
    """Write lines one after the other, each split into a file of its own, and say where each lies."""
    entries = []
    paths = part_paths(path)
    offsets = dict.fromkeys(SPLITS, 0)
    with ExitStack() as stack:
        files = {split: stack.enter_context(target.open("wb", buffering=1 << 20)) for split, target in paths.items()}
        for r in records:
            files[r.split].write(r.line)
            size, offset = len(r.line), offsets[r.split]
            entries.append(Entry(r.id, r.notation, r.split, r.fingerprint, paths[r.split], offset, size, r.templates))
            offsets[r.split] = offset + size
    return entries


def _runs(entries: Iterable[Entry]) -> Iterator[tuple[Path, int, int]]:
    """Neighbouring lines of one file as one range."""
    path, start, end = None, 0, 0
    for entry in entries:
        if entry.path == path and entry.offset == end:
            end += entry.length
        else:
            if path is not None:
                yield path, start, end
            path, start, end = entry.path, entry.offset, entry.offset + entry.length
    if path is not None:
        yield path, start, end


def _copy(out: BinaryIO, source: BinaryIO, start: int, end: int) -> None:
    """Append a range of ``source`` to ``out``, inside the kernel where it can do that."""
    out.flush()
    while start < end:
        try:
            done = os.copy_file_range(source.fileno(), out.fileno(), end - start, start)
        except (AttributeError, OSError) as error:
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
                raise
            source.seek(start)
            done = out.write(source.read(min(end - start, 1 << 22)))
            out.flush()
        if not done:
            raise OSError(errno.EIO, "a file of records became shorter while it was read", source.name)
        start += done


def write_all(folder: Path, state: State) -> list[Entry]:
    """Write both files from the entries of ``state`` (lines of old files and of parts), then the state.

    Returns:
        The entries as they now lie.
    """
    ordered = sorted(state.entries.values(), key=lambda e: e.id)
    temporary = {s: folder / f".{s}.jsonl.{os.getpid()}.tmp" for s in SPLITS}
    now: list[Entry] = []
    records: dict[str, list[Any]] = {s: [] for s in SPLITS}
    names: dict[str, int] = {}
    try:
        with ThreadPoolExecutor(len(SPLITS)) as pool:  # the disk works while the index is made
            written = [pool.submit(_write_lines, temporary[s], [e for e in ordered if e.split == s]) for s in SPLITS]
            for split in SPLITS:
                target, offset = folder / f"{split}.jsonl", 0
                for e in ordered:
                    if e.split != split:
                        continue
                    now.append(Entry(e.id, e.notation, split, e.fingerprint, target, offset, e.length, e.templates))
                    offset += e.length
                    number = names.setdefault(e.notation, len(names))
                    records[split].append([e.id, number, e.fingerprint, e.length])
            for done in written:
                done.result()
        for split in SPLITS:
            _swap(temporary[split], folder / f"{split}.jsonl")
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
    _save(folder, state, records, list(names))
    return now


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _swap(new: Path, target: Path) -> None:
    """Put ``new`` in the place of ``target``, which steps aside first and comes back should that fail.

    Renaming over the old file, or syncing the new one, waits until hundreds of megabytes are on the disk, which took
    longer than all else after a small edit. What a power cut takes away is made anew from the graph.
    """
    with suppress(FileNotFoundError):
        target.rename(_aside(target))
    try:
        new.rename(target)
    except OSError:
        if _aside(target).exists():
            _aside(target).rename(target)
        raise
    _aside(target).unlink(missing_ok=True)


def _put_back(folder: Path) -> None:
    """Undo a swap that was killed half-way."""
    for split in SPLITS:
        target = folder / f"{split}.jsonl"
        if _aside(target).exists():
            if target.exists():
                _aside(target).unlink()
            else:
                _aside(target).rename(target)


def _write_lines(target: Path, entries: list[Entry]) -> None:
    """The lines of ``entries`` one after the other."""
    with ExitStack() as stack:
        sources: dict[Path, BinaryIO] = {}
        out = stack.enter_context(target.open("wb", buffering=0))
        for path, start, end in _runs(entries):
            if path not in sources:
                sources[path] = stack.enter_context(path.open("rb"))
            _copy(out, sources[path], start, end)


def _save(folder: Path, state: State, records: Mapping[str, Any], names: list[str]) -> None:
    """Write the state file: the moment the run is finished."""
    said = {
        "format": FORMAT,
        "sets": state.sets,
        "plans": state.plans,
        "files": {s: _stamp(folder / f"{s}.jsonl") for s in SPLITS},
        "scope": state.scope,
        "notations": names,
        "readings": [state.readings.get(name) for name in names],
        "records": records,
    }
    write_file(folder / STATE, json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode())


def touch_state(folder: Path, state: State) -> None:
    """Write the state again after a run that changed no record."""
    names: dict[str, int] = {}
    records: dict[str, list[Any]] = {s: [] for s in SPLITS}
    for e in sorted(state.entries.values(), key=lambda e: e.id):
        number = names.setdefault(e.notation, len(names))
        records[e.split].append([e.id, number, e.fingerprint, e.length])
    _save(folder, state, records, list(names))


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of the output folder, and clear what a killed run left.

    Raises:
        StoreLockedError: another process is regenerating into this folder.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=10, poll_interval=0.05)
    except Timeout:
        raise StoreLockedError(
            f"another process is regenerating into {folder}", hint="wait for it, or give another --out"
        ) from None
    try:
        for left in (*folder.glob(".*.tmp"), *folder.glob(".part-*")):
            left.unlink(missing_ok=True)
        _put_back(folder)
        yield
    finally:
        for left in folder.glob(".part-*"):
            left.unlink(missing_ok=True)
        lock.release()

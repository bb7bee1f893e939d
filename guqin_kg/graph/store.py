"""The embedded store on disk: numbered generations, each complete and never changed once published.

``.guqin/store/CURRENT`` names the generation in use.  A build or an edit prepares the next one beside it (sharing the
data files by hard links) and publishes it by renaming.  So readers need no lock, and a process killed at any moment
leaves the old generation or the new one.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import DataError
from guqin_kg.graph.diff import from_lines, to_lines
from guqin_kg.graph.journal import write_file

if TYPE_CHECKING:
    from pyoxigraph import Store, Triple

#: Part of every input hash: raise it when the same inputs give another store.
FORMAT = 1
_KEEP = 3
_DUMP = "statements.nt.gz"
_SINCE = ("added.nt", "removed.nt")
_MANY = 200_000


@dataclass(frozen=True)
class Generation:
    """One published state of the store.

    Attributes:
        folder: holds ``db`` (the database), ``manifest.json``, ``sources`` (statements of each workspace file).
        manifest: how it was made: inputs with hashes, counts, content hash.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def database(self) -> Path:
        """The database folder."""
        return self.folder / "db"

    @cached_property
    def store(self) -> Store:
        """The database, opened read-only.

        Raises:
            DataError: the files are damaged.
        """
        import pyoxigraph as ox

        try:
            return ox.Store.read_only(str(self.database))
        except (OSError, ValueError) as error:
            raise DataError(
                f"the store cannot be opened: {error}",
                code="damaged-store",
                file=self.database,
                hint="`guqin build --force` makes it anew from the Turtle files",
            ) from None

    def in_memory(self) -> Store:
        """The same statements in memory, where queries over the whole graph run several times faster than on disk."""
        import pyoxigraph as ox

        store = ox.Store()
        try:
            with tempfile.NamedTemporaryFile(suffix=".nt") as plain:
                with gzip.open(self.folder / _DUMP) as packed:
                    shutil.copyfileobj(packed, plain, 1 << 20)
                plain.flush()
                store.bulk_load(path=plain.name, format=ox.RdfFormat.N_TRIPLES)
            added, removed = (self.folder / name for name in _SINCE)
            if removed.exists():
                for t in from_lines(removed.read_bytes()):
                    store.remove(ox.Quad(t.subject, t.predicate, t.object))
                store.extend(ox.Quad(t.subject, t.predicate, t.object) for t in from_lines(added.read_bytes()))
            if len(store) == self.manifest["counts"]["statements"]:
                return store
        except (OSError, ValueError, SyntaxError):
            pass  # small stores have no dump; a damaged one, or no room to unpack it, only costs time
        return copied(self.store)

    @property
    def content_hash(self) -> str:
        """Hash of the set of statements: equal graphs have equal hashes, however they came about."""
        return str(self.manifest["content"])


def store_folder(state: Path) -> Path:
    """Where the generations lie."""
    return state / "store"


def current(state: Path) -> Generation | None:
    """The generation in use, or None when nothing (usable) was built yet."""
    root = store_folder(state)
    try:
        name = (root / "CURRENT").read_text(encoding="ascii").strip()
        folder = root / name
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return None
    return Generation(folder, manifest) if manifest.get("format") == FORMAT else None


@contextlib.contextmanager
def next_generation(state: Path, base: Generation | None) -> Iterator[Path]:
    """A folder to prepare the next generation in: empty, or a copy of ``base``; removed if the block fails."""
    root = store_folder(state)
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob("new-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = root / f"new-{os.getpid()}"
    folder.mkdir()
    try:
        if base is not None:
            _link_tree(base.folder, folder)
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def publish(state: Path, folder: Path, manifest: Mapping[str, Any]) -> Generation:
    """Make the prepared ``folder`` the generation in use."""
    root = store_folder(state)
    numbers = [int(p.name[4:]) for p in root.glob("gen-*") if p.name[4:].isdigit()]
    target = root / f"gen-{max(numbers, default=0) + 1}"
    write_file(folder / "manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1).encode())
    folder.rename(target)
    write_file(root / "CURRENT", target.name.encode())
    for number in sorted(numbers)[: -(_KEEP - 1)]:
        shutil.rmtree(root / f"gen-{number}", ignore_errors=True)
    return Generation(target, manifest)


def _link_tree(source: Path, target: Path) -> None:
    """Copy a generation; files RocksDB never changes once written are hard-linked where the file system can."""
    for path in source.rglob("*"):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.name in ("LOCK", "manifest.json"):
            continue
        if path.suffix in (".sst", ".blob", ".gz") or path.parent.name == "sources":
            with contextlib.suppress(OSError):
                os.link(path, place)
                continue
        shutil.copyfile(path, place)


def copied(store: Store) -> Store:
    """A copy of the default graph in memory."""
    import pyoxigraph as ox

    copy = ox.Store()
    copy.bulk_extend(store.quads_for_pattern(None, None, None, ox.DefaultGraph()))
    return copy


def keep_changes(folder: Path, added: set[Triple], removed: set[Triple]) -> None:
    """Note what an edit changed since the dump of the statements in ``folder`` was written."""
    if not (folder / _DUMP).exists():
        return
    plus, minus = (from_lines((folder / n).read_bytes()) if (folder / n).exists() else set() for n in _SINCE)
    for name, triples in zip(_SINCE, ((plus | added) - removed, (minus | removed) - added), strict=True):
        write_file(folder / name, to_lines(triples))


def statement_hash(triples: Iterable[Triple]) -> int:
    """Sum of the hashes of statements modulo 2**128: order does not matter, and edits can be added and taken away."""
    from hashlib import blake2b

    total = 0
    for t in triples:
        total += int.from_bytes(blake2b(str(t).encode(), digest_size=16).digest(), "big")
    return total % (1 << 128)


def store_hash(store: Store, folder: Path | None = None) -> tuple[int, int]:
    """``statement_hash`` over the default graph of ``store``, and the number of statements.

    A large store leaves its statements, packed, in ``folder`` (where one is given), for :meth:`Generation.in_memory`.
    """
    import io
    from hashlib import blake2b

    import pyoxigraph as ox

    out = io.BytesIO()
    store.dump(out, ox.RdfFormat.N_TRIPLES, from_graph=ox.DefaultGraph())
    total = count = 0
    for line in out.getvalue().splitlines():
        total += int.from_bytes(blake2b(line[:-2], digest_size=16).digest(), "big")
        count += 1
    if folder is not None and count > _MANY:
        (folder / _DUMP).write_bytes(gzip.compress(out.getbuffer(), 1))
    return total % (1 << 128), count

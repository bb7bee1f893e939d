"""The embedded store on disk: numbered generations, each complete and never changed once published.

``.guqin/store/CURRENT`` names the generation in use.  A build or an edit prepares the next one beside it (sharing the
data files by hard links) and publishes it by renaming.  So readers need no lock, and a process killed at any moment
leaves the old generation or the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import DataError
from guqin_kg.graph.journal import write_file

if TYPE_CHECKING:
    from pyoxigraph import Store, Triple

#: Part of every input hash: raise it when the same inputs give another store.
FORMAT = 1
_KEEP = 3


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
        if path.suffix in (".sst", ".blob") or path.parent.name == "sources":
            with contextlib.suppress(OSError):
                os.link(path, place)
                continue
        shutil.copyfile(path, place)


def statement_hash(triples: Iterable[Triple]) -> int:
    """Sum of the hashes of statements modulo 2**128: order does not matter, and edits can be added and taken away."""
    from hashlib import blake2b

    total = 0
    for t in triples:
        total += int.from_bytes(blake2b(str(t).encode(), digest_size=16).digest(), "big")
    return total % (1 << 128)


def store_hash(store: Store) -> tuple[int, int]:
    """``statement_hash`` over the default graph of ``store``, and the number of statements."""
    import io
    from hashlib import blake2b

    import pyoxigraph as ox

    out = io.BytesIO()
    store.dump(out, ox.RdfFormat.N_TRIPLES, from_graph=ox.DefaultGraph())
    total = count = 0
    for line in out.getvalue().splitlines():
        total += int.from_bytes(blake2b(line[:-2], digest_size=16).digest(), "big")
        count += 1
    return total % (1 << 128), count

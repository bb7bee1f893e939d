"""What changed between two states of the graph, statement by statement."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from guqin_kg.graph.journal import write_file

if TYPE_CHECKING:
    from pyoxigraph import Triple

_KEEP_LINKS = 200
_MAX_STATEMENTS = 400_000


@dataclass
class Delta:
    """Statements added and removed; applying one after the other keeps both sets minimal."""

    added: set[Triple] = field(default_factory=set)
    removed: set[Triple] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)

    def then(self, later: Delta) -> Delta:
        """The delta of this one followed by ``later``."""
        added = (self.added - later.removed) | (later.added - self.removed)
        removed = (self.removed - later.added) | (later.removed - self.added)
        return Delta(added, removed)

    def subjects(self) -> set[str]:
        """IRIs of all subjects touched."""
        return {t.subject.value for t in (*self.added, *self.removed)}  # type: ignore[union-attr]


def _folder(state: Path) -> Path:
    return state / "changes"


def to_lines(triples: Iterable[Triple]) -> bytes:
    """Statements as sorted N-Triples."""
    return "".join(f"{line} .\n" for line in sorted(str(t) for t in triples)).encode()


def from_lines(data: bytes) -> set[Triple]:
    """The reverse of ``to_lines``."""
    import pyoxigraph as ox

    return {q.triple for q in ox.parse(input=data, format=ox.RdfFormat.N_TRIPLES)}


def _links(state: Path) -> list[Path]:
    return sorted(_folder(state).glob("*.json"))


def record(state: Path, before: str, after: str, delta: Delta) -> None:
    """Keep the delta between two content hashes, for as long as the chain is short."""
    if before == after or len(delta.added) + len(delta.removed) > _MAX_STATEMENTS:
        return
    links = _links(state)
    for old in links[: max(0, len(links) - _KEEP_LINKS + 1)]:
        for path in _folder(state).glob(old.stem + ".*"):
            path.unlink(missing_ok=True)
    name = f"{int(links[-1].stem) + 1 if links else 1:08d}"
    write_file(_folder(state) / f"{name}.added.nt", to_lines(delta.added))
    write_file(_folder(state) / f"{name}.removed.nt", to_lines(delta.removed))
    write_file(_folder(state) / f"{name}.json", json.dumps({"before": before, "after": after}).encode())


def changes_since(state: Path, before: str, after: str) -> Delta | None:
    """What was added and removed between two content hashes; None when that is not known (compare everything then)."""
    if before == after:
        return Delta()
    total, at = Delta(), after
    for link in reversed(_links(state)):
        try:
            said = json.loads(link.read_bytes())
            if said["after"] != at:
                return None
            step = Delta(
                from_lines(link.with_suffix(".added.nt").read_bytes()),
                from_lines(link.with_suffix(".removed.nt").read_bytes()),
            )
        except (OSError, ValueError):
            return None
        total, at = step.then(total), said["before"]
        if at == before:
            return total
    return None

"""The folder of library queries: found by name, read when asked for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from guqin_kg import resources
from guqin_kg.errors import NotFoundError
from guqin_kg.query.spec import QuerySpec, QuerySpecError, read_spec

_KINDS = ("select", "ask", "construct", "describe")


def _stem(path: Path) -> str:
    stem = path.name.removesuffix(".rq")
    for kind in _KINDS:
        stem = stem.removesuffix(f".{kind}")
    return stem


@lru_cache(maxsize=1024)
def _read(path: Path, stamp: tuple[int, int], purpose: str) -> QuerySpec:
    return read_spec(path, purpose=purpose)


class QueryLibrary:
    """Queries of one or more folders; a later folder (a workspace's own) adds to, and may not shadow, an earlier one.

    Args:
        folders: roots searched for ``*.rq`` at any depth; default the packaged ``sparql/``.
    """

    def __init__(self, folders: Iterable[Path] | None = None) -> None:
        self.folders = tuple(folders) if folders is not None else (resources.folder("sparql"),)
        self.paths: dict[str, tuple[Path, Path]] = {}
        for root in self.folders:
            if not root.is_dir():
                continue
            for path in sorted(root.rglob("*.rq"), key=lambda p: p.relative_to(root).as_posix()):
                name = _stem(path)
                if name in self.paths:
                    raise QuerySpecError(
                        f"two queries are called {name!r}: {self.paths[name][1]} and this one",
                        file=path,
                        hint="rename one of them",
                    )
                self.paths[name] = (root, path)

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self.paths)

    def get(self, name: str) -> QuerySpec:
        """The query ``name`` (``components-of`` or ``structure/components-of``).

        Raises:
            NotFoundError: no such query; the nearest names are suggested.
            QuerySpecError: the file does not keep its contract.
        """
        bare = name.removesuffix(".rq").rsplit("/", 1)[-1]
        for kind in _KINDS:
            bare = bare.removesuffix(f".{kind}")
        if bare not in self.paths:
            from rapidfuzz import process

            near = [match for match, score, _ in process.extract(bare, self.names(), limit=3) if score > 55]
            raise NotFoundError(
                f"no library query is called {name!r}",
                code="unknown-query",
                hint=("did you mean " + ", ".join(near) + "? " if near else "") + "`guqin query --list` shows all",
            )
        root, path = self.paths[bare]
        stat = path.stat()
        purpose = path.parent.relative_to(root).as_posix()
        return _read(path, (stat.st_mtime_ns, stat.st_size), "" if purpose == "." else purpose)

    def all(self) -> list[QuerySpec]:
        """Every query, read and checked, sorted by purpose and name."""
        return sorted((self.get(name) for name in self.names()), key=lambda s: (s.purpose, s.name))


@lru_cache(maxsize=1)
def packaged() -> QueryLibrary:
    """The library that ships with the package."""
    return QueryLibrary()

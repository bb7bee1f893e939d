"""The recogniser's words: base notations of the graph, by id, and four special tokens.

A model carries its own list, so a graph that has grown since does not break it: the words it lacks are reported by
:meth:`Vocabulary.missing`, and words the graph has dropped are never decoded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from guqin_kg.errors import DataError
from guqin_kg.inventory import Inventory
from guqin_kg.recognise.weights import read_json

PAD, BEGIN, END, OTHER = range(4)
"""Padding, begin, end, and "this picture is no jianzi"."""

SPECIAL = ("<pad>", "<begin>", "<end>", "<other>")


@dataclass(frozen=True)
class Vocabulary:
    """Token list; index = position. ``ids`` holds the special tokens first, then base notation ids, sorted.

    ``names`` are the labels of a graph by id: messages say them first (see :meth:`named`).
    """

    ids: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, bases: Iterable[str]) -> Vocabulary:
        """The vocabulary of these base notation ids."""
        return cls((*SPECIAL, *sorted(set(bases))))

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """From ``vocabulary.json``.

        Raises:
            NotFoundError: no such file.
            DataError: it is something else, or damaged.
        """
        ids = read_json(path).get("tokens")
        if not isinstance(ids, list) or tuple(ids[: len(SPECIAL)]) != SPECIAL:
            wrong = "this vocabulary does not begin with the special tokens"
        elif not all(isinstance(name, str) for name in ids) or len(set(ids)) < len(ids):
            wrong = "damaged: a token of this vocabulary is no text, or stands there twice"
        else:
            return cls(tuple(ids))
        raise DataError(wrong, code="bad-model", file=path, hint="the folder is not complete: copy or train it again")

    def named(self, inventory: Inventory) -> Vocabulary:
        """The same words with the labels of this graph."""
        return replace(self, names={key: base.labels.get("zh") or base.name for key, base in inventory.by_id.items()})

    def write(self, path: Path, graph: str) -> None:
        """To ``vocabulary.json``, with its hash and the content hash of the graph it was made from."""
        text = json.dumps({"hash": self.hash, "graph": graph, "tokens": list(self.ids)}, ensure_ascii=False, indent=0)
        path.write_text(text + "\n", "utf-8")

    @cached_property
    def index(self) -> dict[str, int]:
        """Id to index."""
        return {name: at for at, name in enumerate(self.ids)}

    @cached_property
    def hash(self) -> str:
        """blake2b of the list: what an adapter must share with its base."""
        return hashlib.blake2b("\n".join(self.ids).encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return len(self.ids)

    def missing(self, bases: Iterable[str]) -> list[str]:
        """Those of ``bases`` that this vocabulary lacks, sorted."""
        return sorted(set(bases) - set(self.ids))

    def encode(self, bases: Sequence[str]) -> list[int]:
        """Base ids to indices, with begin and end.

        Raises:
            DataError: names the ids that are not in the vocabulary.
        """
        unknown = self.missing(bases)
        if unknown:
            shown = (f"{self.names[name]} ({name})" if name in self.names else name for name in unknown)
            raise DataError(
                f"the model has never seen {', '.join(shown)}",
                code="unknown-component",
                hint="teach it: guqin train recognizer --config extend --out DIR",
            )
        return [BEGIN, *(self.index[base] for base in bases), END]

    def gone(self, inventory: Inventory) -> list[int]:
        """Indices of words that the graph no longer has."""
        return [at for at, name in enumerate(self.ids[len(SPECIAL) :], len(SPECIAL)) if name not in inventory.by_id]

"""The lexicon as N-Triples, ready for bulk loading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from guqin_kg.graph.expand import Schema, expand
from guqin_kg.inventory import Inventory

if TYPE_CHECKING:
    from pyoxigraph import Triple

_BATCH = 2_000


def lexicon_lines(inventory: Inventory, schema: Schema) -> Iterator[bytes]:
    """Batches of N-Triples: every notation of the published lexicon's size and rule, with the classes above its own."""
    from guqin_kg.notation.lexicon import published
    from guqin_kg.notation.rdf import to_triples

    batch: list[Triple] = []
    for number, notation in enumerate(published(inventory), 1):
        batch.extend(to_triples(notation, inventory))
        if number % _BATCH == 0:
            yield _lines(batch, schema)
            batch = []
    yield _lines(batch, schema)


def _lines(batch: list[Triple], schema: Schema) -> bytes:
    return "".join(f"{t} .\n" for t in expand(batch, schema)).encode()

"""The released graph (without the lexicon) in memory, as the store has it, and the example files."""

from __future__ import annotations

from collections.abc import Callable

import pyoxigraph as ox
import pytest

from guqin_kg import resources


@pytest.fixture(scope="session")
def schema_triples() -> list[ox.Triple]:
    """The ontology's own statements and the positions worked out from them; the curated notations left out."""
    from guqin_kg.graph.derive import positions
    from guqin_kg.graph.sources import read_triples
    from guqin_kg.inventory import load_inventory

    files = [p for p in resources.ontology_files() if p.parent.name != "curated"]
    return [t for p in files for t in read_triples(p)] + positions(load_inventory())


@pytest.fixture(scope="session")
def base(schema_triples: list[ox.Triple]) -> ox.Store:
    """A store of the statements of ``schema_triples``; tests read it only."""
    store = ox.Store()
    store.extend(ox.Quad(t.subject, t.predicate, t.object) for t in schema_triples)
    return store


@pytest.fixture(scope="session")
def read() -> Callable[[str], list[ox.Triple]]:
    """Reading → its statements."""
    from guqin_kg.notation.parse import parse
    from guqin_kg.notation.rdf import to_triples

    return lambda reading: to_triples(parse(reading))

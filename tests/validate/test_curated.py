"""The released graph as a whole, by the engine in daily use and by pySHACL, the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from guqin_kg.graph.build import build
from guqin_kg.graph.workspace import init_workspace
from guqin_kg.validate.fast import validate_store
from guqin_kg.validate.shacl import validate_with_pyshacl


@pytest.mark.slow
def test_pyshacl_says_the_same_on_the_whole_curated_graph(tmp_path: Path) -> None:
    store = build(init_workspace(tmp_path / "ws"))[0].store
    fast, slow = validate_store(store), validate_with_pyshacl(store)
    assert fast.engine == "fast"
    assert len(slow.results) > 50  # conventions that some curated notations leave on purpose
    assert fast.results == slow.results

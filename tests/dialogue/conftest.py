"""A workspace with the released graph and a few notations of its own, built once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

OWN = [
    "大九绰勾四",
    "大七八挑七",
    "名外挑四",
    "撮大七七散四",
    "上七九",
    "上五下五六",  # two positions, one of which depends on the period
    "二上七六",
    "少息",
    "四",
    "名十对起",
    "滚六一",
    "大九轮五",
    "泛大七勾一",
]


def write_notations(ws: Any, readings: list[str], name: str = "own.nt") -> None:
    """State ``readings`` in a file of the workspace."""
    from guqin_kg.graph.diff import to_lines
    from guqin_kg.inventory import load_inventory
    from guqin_kg.notation.parse import parse
    from guqin_kg.notation.rdf import to_triples

    inventory = load_inventory()
    triples = [t for r in readings for t in to_triples(parse(r), inventory)]
    (ws.graph / name).write_bytes(to_lines(triples))


@pytest.fixture(scope="session")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from guqin_kg.graph.build import build
    from guqin_kg.graph.workspace import init_workspace

    ws = init_workspace(tmp_path_factory.mktemp("dialogue") / "ws")
    write_notations(ws, OWN)
    build(ws)
    return ws.root


@pytest.fixture(scope="session")
def built(_base: Path) -> tuple[Any, Any]:
    """(workspace, generation), for reading only."""
    from guqin_kg.graph.store import current
    from guqin_kg.graph.workspace import Workspace

    ws = Workspace(_base)
    generation = current(ws.state)
    assert generation is not None
    return ws, generation


@pytest.fixture
def workspace(_base: Path, tmp_path: Path) -> Any:
    """A copy of the workspace that a test may edit."""
    from guqin_kg.graph.workspace import Workspace

    shutil.copytree(_base, tmp_path / "ws")
    return Workspace(tmp_path / "ws")


@pytest.fixture
def run(workspace: Any) -> Callable[..., Any]:
    """Build and regenerate the workspace; keyword arguments go to ``regenerate``."""
    from guqin_kg.dialogue.regenerate import regenerate
    from guqin_kg.graph.build import build

    def go(**options: Any) -> Any:
        generation, _ = build(workspace)
        return regenerate(workspace, generation, **{"which": "six", "workers": 1, **options})

    return go

"""Workspaces for graph tests: a small ontology beside the real one, so that a build takes a fraction of a second."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from guqin_kg import resources
from guqin_kg.graph.build import build
from guqin_kg.graph.workspace import Workspace, init_workspace

HEAD = (
    "@prefix gq: <https://w3id.org/guqin/ontology#> .\n"
    "@prefix gqr: <https://w3id.org/guqin/resource/> .\n"
    "@prefix dct: <http://purl.org/dc/terms/> .\n"
    "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
    "@prefix owl: <http://www.w3.org/2002/07/owl#> .\n"
)


@pytest.fixture(scope="session")
def small_ontology(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released ontology without the curated set."""
    place = tmp_path_factory.mktemp("small") / "onto"
    shutil.copytree(resources.folder("ontology"), place, ignore=shutil.ignore_patterns("curated"))
    return place


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, small_ontology: Path) -> Path:
    """A workspace over the small ontology, built once."""
    ws = init_workspace(tmp_path_factory.mktemp("template") / "ws")
    settings = ws.root / "guqin.toml"
    text = settings.read_text(encoding="utf-8").replace('# ontology = "ontology"', f'ontology = "{small_ontology}"')
    settings.write_text(text, encoding="utf-8")
    build(ws)
    return ws.root


@pytest.fixture
def ws(tmp_path: Path, template: Path) -> Workspace:
    """One fresh workspace, its store built."""
    shutil.copytree(template, tmp_path / "ws")
    return Workspace(tmp_path / "ws")


@pytest.fixture
def head() -> str:
    """Prefixes for Turtle in tests."""
    return HEAD

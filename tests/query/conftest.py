"""One small graph for all query tests: the released ontology and some notations, a score and a print of our own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from guqin_kg import resources
from guqin_kg.graph.build import build
from guqin_kg.graph.workspace import Workspace, init_workspace
from guqin_kg.query.session import GraphSession

READINGS = """
    大九勾四 名十勾四 大九挑四 大九勾五 名九勾四 大九绰勾四 大七八勾四 大七七挑六 名外挑四
    散勾四 散挑七 散挑六 散勾三 名十勾五 大七挑七 撮大七七散四 上七九
    泛起 少息 大八半擘四 大四擘四 大八擘六 大六二擘七 大七擘六 中七九擘四
    名七擘四 名六四擘四 大十挑四 大八抹四 名七擘六 名七六擘六 大九历七六 名十对起 轮六
    抹挑五
"""

EXTRA = """\
@prefix gq: <https://w3id.org/guqin/ontology#> .
@prefix gqr: <https://w3id.org/guqin/resource/> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .

gqr:score-example a gq:MusicNotation ; rdfs:label "试谱"@zh , "a test score"@en ; dct:source gqr:source-wusheng-qinpu ;
    gq:hasEvent <https://w3id.org/guqin/resource/score-example/e1> ,
        <https://w3id.org/guqin/resource/score-example/e2> ,
        <https://w3id.org/guqin/resource/score-example/e3> .
<https://w3id.org/guqin/resource/score-example/e1> a gq:ScoreEvent ; gq:eventIndex 1 ; gq:notation gqr:n-da.9-gou-s4 .
<https://w3id.org/guqin/resource/score-example/e2> a gq:ScoreEvent ; gq:eventIndex 2 ; gq:notation gqr:n-t.san-tiao-s7 .
<https://w3id.org/guqin/resource/score-example/e3> a gq:ScoreEvent ; gq:eventIndex 3 ; gq:notation gqr:n-da.9-gou-s4 .
gqr:n-da.7.8-gou-s4 dct:source gqr:source-wusheng-qinpu .
gqr:image-example a gq:Image ; gq:fileName "1_1.png" ; gq:isImageOf gqr:n-da.7.8-gou-s4 ;
    dct:source gqr:source-wusheng-qinpu .
"""


def write_notations(ws: Workspace, readings: list[str]) -> None:
    """State ``readings`` in the workspace, without the checks of an edit."""
    from guqin_kg.graph.serialise import format_triples
    from guqin_kg.notation.parse import parse
    from guqin_kg.notation.rdf import to_triples
    from guqin_kg.query.terms import prefixes

    triples = [t for r in readings for t in to_triples(parse(r))]
    (ws.graph / "notations.ttl").write_text(format_triples(dict.fromkeys(triples), prefixes()), encoding="utf-8")


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> GraphSession:
    """The opened graph."""
    ws = init_workspace(tmp_path_factory.mktemp("query") / "ws")
    # without the curated set, so that rdflib answers in seconds too
    shutil.copytree(resources.folder("ontology"), ws.root / "onto", ignore=shutil.ignore_patterns("curated", "shapes"))
    settings = ws.root / "guqin.toml"
    settings.write_text(settings.read_text().replace('# ontology = "ontology"', 'ontology = "onto"'))
    write_notations(ws, READINGS.split())
    (ws.graph / "extra.ttl").write_text(EXTRA, encoding="utf-8")
    generation, _ = build(ws)
    return GraphSession(ws, generation)


@pytest.fixture(scope="session")
def dump(session: GraphSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graph as one N-Triples file."""
    import pyoxigraph as ox

    path = tmp_path_factory.mktemp("dump") / "graph.nt"
    session.store.dump(str(path), ox.RdfFormat.N_TRIPLES, from_graph=ox.DefaultGraph())
    return path


@pytest.fixture(scope="session")
def state_notations() -> Callable[[Workspace, list[str]], None]:
    """``write_notations`` for tests that make a graph of their own."""
    return write_notations

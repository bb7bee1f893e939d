"""Every library query runs with its example, answers with the columns it declares, and alike on three engines."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guqin_kg.query import RdflibBackend, packaged
from guqin_kg.query.engine import Backend
from guqin_kg.query.results import QueryResult
from guqin_kg.query.session import GraphSession
from guqin_kg.query.spec import QuerySpec
from guqin_kg.query.terms import prefixes, to_term
from guqin_kg.query.tokens import value_blocks

SPECS = packaged().all()
SWEEPS = {"orphan-violation"}
# sets of other stages have their own tests of rows and columns; here they must at least be well-formed
OWN = [s for s in SPECS if s.purpose in {
    "lookup", "structure", "technique", "position", "pitch", "compare", "source", "score", "checks"
}]  # fmt: skip


def examples(spec: QuerySpec) -> dict[str, object]:
    return {p.name: p.example for p in spec.params if not p.optional}


def as_set(result: QueryResult) -> object:
    if result.boolean is not None:
        return result.boolean
    if result.triples is not None:
        return {str(t) for t in result.triples}
    return sorted(tuple(str(row[c]) for c in sorted(row)) for row in result.rows)


def test_library_is_large_enough_and_every_file_is_in_it() -> None:
    folder = Path(packaged().folders[0])
    assert len(OWN) >= 25
    assert {Path(s.file) for s in SPECS} == set(folder.rglob("*.rq"))


@pytest.mark.parametrize("spec", OWN, ids=lambda s: s.name)
def test_example_answers_as_declared(spec: QuerySpec, session: GraphSession) -> None:
    result = session.query(spec, examples(spec))
    low, high = spec.rows
    assert low <= len(result) or spec.kind == "ask"
    assert high is None or len(result) <= high
    if spec.kind == "select" and not spec.check:
        assert "ORDER BY" in spec.text
        assert result.terms == session.query(spec, examples(spec)).terms


@pytest.mark.parametrize("spec", OWN, ids=lambda s: s.name)
def test_optional_parameters_may_be_left_out_or_given(spec: QuerySpec, session: GraphSession) -> None:
    for param in spec.params:
        if param.optional:
            assert session.query(spec, {**examples(spec), param.name: param.example}) is not None


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_file_runs_as_it_is_in_any_tool(spec: QuerySpec, session: GraphSession) -> None:
    """The VALUES blocks of the file hold the example of the header."""
    assert "PREFIX" not in spec.text.upper().replace("#+", "")
    for param in spec.params:
        if spec in OWN:
            wanted = str(to_term(param.example, param, session.resolve))
            for name, _, start, end in value_blocks(spec.text, {param.name}):
                inside = spec.text[start:end].strip()
                for prefix, namespace in prefixes().items():
                    if inside.startswith(prefix + ":"):
                        inside = f"<{namespace}{inside[len(prefix) + 1 :]}>"
                number = wanted.split("^^")[0].strip('"')
                assert inside == wanted or (name and float(inside) == float(number)), (spec.name, inside, wanted)


@pytest.fixture(scope="session")
def rdflib_memory(dump: Path) -> Backend:
    import rdflib

    graph = rdflib.Graph()
    graph.parse(dump, format="nt")
    return RdflibBackend(graph)


@pytest.mark.parametrize("spec", OWN, ids=lambda s: s.name)
def test_same_answer_on_rdflib(spec: QuerySpec, session: GraphSession, rdflib_memory: Backend) -> None:
    if spec.name in SWEEPS:
        return  # minutes on rdflib; see test_sweeps_on_rdflib
    text = session.bind(spec, examples(spec))
    assert as_set(rdflib_memory.query(text)) == as_set(session.backend.query(text))


@pytest.mark.parametrize("name", sorted(SWEEPS))
def test_sweeps_on_rdflib(name: str, session: GraphSession) -> None:
    """Checks that visit every statement are compared on a handful of statements."""
    import pyoxigraph as ox
    import rdflib

    from guqin_kg.query import StoreBackend

    text = (
        "@prefix gq: <https://w3id.org/guqin/ontology#> . @prefix gqr: <https://w3id.org/guqin/resource/> .\n"
        "gqr:a a gq:Person ; gq:finger gqr:b , gqr:a . gqr:c gq:hand gqr:d , 'gqr:e' .\n"
    )
    store = ox.Store()
    store.load(text.encode(), ox.RdfFormat.TURTLE)
    graph = rdflib.Graph().parse(data=text, format="turtle")
    query = session.bind(name, {})
    mine = StoreBackend(store).query(query)
    assert len(mine) == 2
    assert as_set(RdflibBackend(graph).query(query)) == as_set(mine)


@pytest.fixture(scope="session")
def server(dump: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real SPARQL server (the ``oxigraph`` wheel) on loopback."""
    binary = Path(sys.executable).parent / "oxigraph"
    if not binary.exists() and not shutil.which("oxigraph"):
        pytest.skip("the oxigraph server is not installed (pip install oxigraph)")
    program = str(binary) if binary.exists() else "oxigraph"
    place = tmp_path_factory.mktemp("server")
    subprocess.run([program, "load", "--location", str(place), "--file", str(dump)], check=True, capture_output=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [program, "serve-read-only", "--location", str(place), "--bind", f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/query"
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.network_loopback
@pytest.mark.parametrize("spec", OWN, ids=lambda s: s.name)
def test_same_answer_on_a_remote_endpoint(spec: QuerySpec, session: GraphSession, server: str) -> None:
    from guqin_kg.query.remote import RemoteBackend

    text = session.bind(spec, examples(spec))
    assert as_set(RemoteBackend(server, timeout=60).query(text)) == as_set(session.backend.query(text))

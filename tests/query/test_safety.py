"""What a query may not do, and that values stay values."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guqin_kg.errors import DataError, LimitError, NotFoundError, ReadingError, UnsafeInputError, UsageError
from guqin_kg.query import EVERY, BindError, StoreBackend, bind, load_query, run_text
from guqin_kg.query.engine import QuerySyntaxError, WorkerBackend
from guqin_kg.query.session import GraphSession
from guqin_kg.query.spec import QuerySpecError, parse_spec
from guqin_kg.query.tokens import kind_of

HOSTILE = [
    'x" } DROP ALL #',
    "x' . ?s ?p ?o } UNION { ?a ?b ?c",
    "\\u0022 } #",
    'a\\"b',
    "line\nbreak\r\ttab",
    "<http://x/>",
    '"""',
    "}",
    "?notation",
    "𝄞 減字譜 \x7f",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_literal_stays_a_literal(text: str, session: GraphSession) -> None:
    import pyoxigraph as ox

    store = ox.Store()
    node, name = ox.NamedNode("http://example.org/x"), ox.NamedNode("https://w3id.org/guqin/ontology#notationName")
    kind = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
    cls = ox.NamedNode("http://example.org/C")
    store.extend([ox.Quad(node, name, ox.Literal(text)), ox.Quad(node, kind, cls)])
    result = StoreBackend(store).query(bind(load_query("called"), {"name": text, "class": EVERY}))
    assert [row["resource"] for row in result.rows] == ["http://example.org/x"]
    assert len(session.query("called", {"name": text})) == 0


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_any_text_binds_to_itself(text: str) -> None:
    import pyoxigraph as ox

    query = bind(load_query("called"), {"name": text, "class": EVERY})
    store = ox.Store()
    name = ox.NamedNode("https://w3id.org/guqin/ontology#notationName")
    kind = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
    node = ox.NamedNode("http://example.org/x")
    store.extend([ox.Quad(node, name, ox.Literal(text)), ox.Quad(node, kind, node)])
    assert len(StoreBackend(store).query(query)) == 1


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("notation", "http://x/ y", "bad-parameter"),
        ("notation", "http://x/> } #", "bad-parameter"),
        ("nothing", "x", "unknown-parameter"),
        ("notation", None, "missing-parameter"),
    ],
)
def test_bad_values(name: str, value: object, code: str, session: GraphSession) -> None:
    with pytest.raises(BindError) as caught:
        session.query("components-of", {name: value} if value is not None else {})
    assert caught.value.code == code
    assert caught.value.hint or code == "bad-parameter"
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("value", ["大九X", "没有这个", ["大九勾四", "大九勾八"]])
def test_a_reading_that_cannot_be_parsed_is_no_wrong_use(value: object, session: GraphSession) -> None:
    with pytest.raises(ReadingError) as caught:
        session.query("components-of", {"notation": value})
    assert caught.value.exit_status == 1
    assert caught.value.hint
    assert "at" in caught.value.details


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("notations-using", {"component": "没有这个"}),
        ("sources-of", {"resource": "没有这个"}),
        ("same-pitch", {"notation": "大九勾四", "tuning": "没有这个"}),
    ],
)
def test_a_name_that_nothing_has_is_no_wrong_use(query: str, params: dict[str, str], session: GraphSession) -> None:
    with pytest.raises(NotFoundError) as caught:
        session.query(query, params)
    assert (caught.value.code, caught.value.exit_status) == ("unknown-name", 1)
    assert caught.value.hint


@pytest.mark.parametrize("value", ["x", "1; DROP", "1e400", "--1", "٣"])
def test_numbers_must_be_numbers(value: str, session: GraphSession) -> None:
    with pytest.raises(BindError):
        session.query("notations-by-string", {"string": value})


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { SERVICE <http://127.0.0.1:9/> { ?a ?b ?c } }",
        "SELECT * { service silent <http://127.0.0.1:9/> { ?a ?b ?c } }",
        "SELECT * FROM <http://127.0.0.1:9/x> { ?a ?b ?c }",
        "SELECT * FROM NAMED <file:///etc/passwd> { GRAPH ?g { ?a ?b ?c } }",
        "LOAD <http://127.0.0.1:9/x>",
        "INSERT DATA { <a:a> <a:a> <a:a> }",
        "DELETE WHERE { ?a ?b ?c }",
        "CLEAR ALL",
        "SELECT * { \\u0053ERVICE <http://127.0.0.1:9/> { ?a ?b ?c } }",
        "SELECT * { FILTER(?a<?b)SERVICE<http://127.0.0.1:9/>{?a ?b ?c} }",
        "SELECT * {\n#}\nSERVICE <http://127.0.0.1:9/> { ?a ?b ?c } }",
        "PREFIX service: <http://x/> SELECT * { ?s service:a 'x'@en . SERVICE service:b { ?a ?b ?c } }",
    ],
)
def test_queries_that_reach_out_or_write_are_refused(text: str, session: GraphSession) -> None:
    with pytest.raises(UnsafeInputError) as caught:
        session.query_text(text)
    assert caught.value.code == "refused-keyword"
    assert caught.value.line


@pytest.mark.parametrize(
    "text",
    [
        'SELECT * { ?s ?p "SERVICE <http://x/>" }',
        "SELECT * { ?s <http://x/SERVICE> ?service }  # LOAD",
        "PREFIX load: <http://x/> SELECT * { ?s load:from ?from FILTER(LANG(?from) = 'de') }",
        "SELECT * { ?s ?p '''INSERT DATA''' }",
        "ASK { ?s ?p 'x'@service }",
    ],
)
def test_the_words_are_allowed_where_they_are_no_keywords(text: str) -> None:
    assert kind_of(text) in ("select", "ask")


def test_a_query_that_never_ends_is_stopped(session: GraphSession) -> None:
    started = time.monotonic()
    with pytest.raises(LimitError) as caught:
        session.query_text("SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }", timeout=1.5)
    assert caught.value.code == "timeout"
    assert time.monotonic() - started < 15


def test_too_many_rows_are_an_error_not_a_short_answer(session: GraphSession) -> None:
    with pytest.raises(LimitError) as caught:
        session.query_text("SELECT * { ?a ?b ?c }", max_rows=100, timeout=60)
    assert caught.value.code == "too-many-rows"


def test_worker_answers_like_the_store(session: GraphSession) -> None:
    worker = WorkerBackend(session.generation.database, timeout=60)
    for text in ("SELECT ?n { ?n a gq:Tuning } ORDER BY ?n", "ASK { ?n a gq:Tuning }", "DESCRIBE gqr:rh-gou"):
        mine, theirs = session.backend.query(text), run_text(text, worker)
        assert mine.terms == theirs.terms
        assert mine.boolean == theirs.boolean
        assert set(mine.triples or ()) == set(theirs.triples or ())


def test_syntax_errors_name_the_line(session: GraphSession) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        session.query_text("SELECT ?x WHERE {\n  ?a ?b\n}", timeout=60)
    assert caught.value.line in (2, 3)
    with pytest.raises(DataError):
        session.query_text("hello")


HEADER = "#+ question: {zh: 问, en: ask}\n#+ columns: {x: iri}\n#+ rows: 1\n"


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("SELECT ?x { ?x ?p ?o }", "a.select.rq", "no #+ header"),
        (HEADER + "#+ colour: red\nSELECT ?x { ?x ?p ?o }", "a.select.rq", "unknown key 'colour'"),
        (HEADER + "ASK { ?x ?p ?o }", "a.select.rq", "the query is a ASK"),
        (HEADER.replace("iri", "thing") + "SELECT ?x { ?x ?p ?o }", "a.select.rq", "'thing' is none of"),
        (HEADER.replace("x:", "y:") + "SELECT ?x { ?x ?p ?o }", "a.select.rq", "column y is not a variable"),
        (
            HEADER + "#+ params: {z: {type: iri, example: a}}\nSELECT ?x { ?x ?p ?z }",
            "a.select.rq",
            "has no VALUES ?z",
        ),
        (HEADER.replace("1", "many") + "SELECT ?x { ?x ?p ?o }", "a.select.rq", "rows must be"),
        (HEADER + "SELECT ?x { ?x ?p ?o }", "A b.rq", "a query file is called"),
        ("#+ question: {zh: 问\n" + "SELECT ?x { ?x ?p ?o }", "a.select.rq", "not YAML"),
    ],
)
def test_headers_are_read_strictly(text: str, name: str, says: str) -> None:
    with pytest.raises(QuerySpecError, match="(?s)" + says.replace("?", "\\?").replace("+", "\\+")) as caught:
        parse_spec(text, Path(name))
    assert caught.value.file


def test_remote_addresses_must_be_http() -> None:
    from guqin_kg.query.remote import RemoteBackend

    with pytest.raises(UsageError):
        RemoteBackend("file:///etc/passwd")
    with pytest.raises(DataError) as caught:
        RemoteBackend("http://127.0.0.1:9/query", timeout=2).query("SELECT ?x { ?x ?p ?o }")
    assert caught.value.code == "endpoint"


def test_refusals_say_the_line_where_there_is_no_file(session: GraphSession) -> None:
    with pytest.raises(UnsafeInputError) as caught:
        session.query_text("SELECT * {\n SERVICE <http://127.0.0.1:9/> { ?a ?b ?c } }")
    assert str(caught.value).startswith("line 2: SERVICE is refused")


def test_a_query_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    from guqin_kg.cli.query import _read_text

    path = tmp_path / "gbk.rq"
    path.write_bytes("SELECT *\n{ ?s ?p '减' }".encode("gbk"))
    with pytest.raises(QuerySyntaxError) as caught:
        _read_text(str(path))
    assert (caught.value.code, caught.value.line, caught.value.exit_status) == ("not-utf8", 2, 1)
    assert caught.value.hint


def test_a_sign_is_found_by_its_word_where_no_notation_is_written_so(session: GraphSession) -> None:
    signs = session.query("sources-of", {"resource": "勾"})
    assert {row["resource"] for row in signs} == {"https://w3id.org/guqin/resource/rh-gou"}
    kind = "https://w3id.org/guqin/ontology#SubtractiveNotation"
    assert session.resolve("大九勾四", kind) == "https://w3id.org/guqin/resource/n-da.9-gou-s4"

"""Saving: unchanged is byte-identical, an edit is a small diff, nothing is lost."""

from __future__ import annotations

import difflib

import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guqin_kg import resources
from guqin_kg.graph.serialise import UnstableGraphError, format_triples, format_turtle, save_turtle

PREFIXES = {"ex": "http://example.org/", "gqr": "https://w3id.org/guqin/resource/"}
HEAD = "@prefix ex: <http://example.org/> .\n"


def diff(a: str, b: str) -> list[str]:
    lines = difflib.unified_diff(a.splitlines(), b.splitlines(), n=0, lineterm="")
    return [x for x in lines if x[:1] in "+-" and x[:3] not in ("+++", "---")]


def test_unchanged_save_leaves_the_file_alone(tmp_path):
    path = tmp_path / "a.ttl"
    assert save_turtle(path, HEAD + "ex:a ex:p 1 .")
    stamp, text = path.stat().st_mtime_ns, path.read_text()
    assert not save_turtle(path, text)
    assert (path.stat().st_mtime_ns, path.read_text()) == (stamp, text)
    assert [p.name for p in tmp_path.iterdir()] == ["a.ttl"]


def test_an_edit_is_two_lines():
    path = resources.folder("ontology") / "data" / "right-hand.ttl"
    text = path.read_text(encoding="utf-8")
    assert diff(text, format_turtle(text.replace("gq:maxStrings 7", "gq:maxStrings 6", 1))) == [
        "-    gq:maxStrings 7 ;",
        "+    gq:maxStrings 6 ;",
    ]


def test_comments_at_the_head_and_before_a_block_are_kept():
    text = "# head\n\n" + HEAD + "\n# about b\nex:b ex:p 1 .\nex:a ex:p 1 .\n"
    out = format_turtle(text)
    assert out.startswith("# head\n")
    assert "# about b\nex:b\n" in out
    assert format_turtle(out) == out


@given(st.text(alphabet='ab"\\\n\r\t# ', max_size=12))
@settings(max_examples=200, deadline=None)
def test_text_of_several_lines_stays_readable_and_whole(value):
    triples = [ox.Triple(ox.NamedNode("http://example.org/a"), ox.NamedNode("http://example.org/p"), ox.Literal(value))]
    out = format_triples(triples, PREFIXES)
    assert [q.triple for q in ox.parse(input=out, format=ox.RdfFormat.TURTLE)] == triples
    assert format_turtle(out) == out
    assert out.count("\n") > value.count("\n")


def test_a_comment_inside_a_query_stays_there():
    text = "# head\n\n" + HEAD + '\n# about b\nex:b ex:p """SELECT\n# all\nex:c""" .\nex:c ex:p 1 .\n'
    out = format_turtle(text)
    assert out.count("# all") == 1
    assert "# about b\nex:b" in out
    assert format_turtle(out) == out


def test_numbers_in_names_sort_as_numbers():
    out = format_turtle(HEAD + "ex:hui-10 ex:p 1 . ex:hui-9 ex:p 1 . ex:hui-9\\/x ex:p 1 .")
    assert [line for line in out.splitlines() if line.startswith("ex:")] == ["ex:hui-9", "ex:hui-9\\/x", "ex:hui-10"]


def test_class_expressions_and_lists_stay_in_place():
    text = HEAD + "ex:a ex:p [ ex:q ( 2 1 [ ex:r ex:b ] ) ; ex:s true ] ."
    out = format_turtle(text)
    assert format_turtle(out) == out
    assert out.index("2") < out.index("1")
    graphs = [ox.Dataset(ox.parse(input=t, format=ox.RdfFormat.TURTLE)) for t in (text, out)]
    for g in graphs:
        g.canonicalize(ox.CanonicalizationAlgorithm.UNSTABLE)
    assert graphs[0] == graphs[1]


@pytest.mark.parametrize("text", ["_:b ex:p 1 .", "ex:a ex:p _:b . ex:c ex:p _:b ."])
def test_blank_nodes_without_a_place_are_refused(text):
    with pytest.raises(UnstableGraphError, match="blank node"):
        format_turtle(HEAD + text)


names = st.sampled_from(
    [f"http://example.org/{n}" for n in ("a", "b", "hui-9", "hui-10", "x/form-1", "勾", ["a", "b"][0])]
)
literals = st.one_of(
    st.text(max_size=8).map(ox.Literal),
    st.text(max_size=8).map(lambda t: ox.Literal(t, language="zh")),
    st.integers(-5, 50).map(ox.Literal),
    st.booleans().map(ox.Literal),
)
statements = st.builds(
    ox.Triple, names.map(ox.NamedNode), names.map(ox.NamedNode), st.one_of(names.map(ox.NamedNode), literals)
)


@settings(max_examples=150, deadline=None)
@given(st.lists(statements, max_size=12), st.randoms())
def test_text_depends_on_the_triples_alone_and_keeps_them_all(rows, random):
    text = format_triples(rows, PREFIXES)
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert format_triples(shuffled, PREFIXES) == text
    assert {q.triple for q in ox.parse(input=text, format=ox.RdfFormat.TURTLE)} == set(rows)
    assert format_turtle(text, PREFIXES) == text

"""A new block of Turtle is a new word of the grammar, with no change of code; a broken rule is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from guqin_kg.errors import DataError, ReadingError
from guqin_kg.notation.format import full_reading, short_reading
from guqin_kg.notation.grammar import Grammar, default_grammar
from guqin_kg.notation.lexicon import Lexicon
from guqin_kg.notation.parse import parse, parse_json

INVENTED = """
@prefix gq: <https://w3id.org/guqin/ontology#> .
@prefix gqr: <https://w3id.org/guqin/resource/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
gqr:rh-xuan a gq:BasicNotation , gq:RightHandTechnique ;
    gq:notationName "旋" ; gq:traditionalName "旋" ; gq:fullName "旋" ; gq:alias "漩" ;
    rdfs:label "旋"@zh , "xuan"@en ; gq:grammarRole gqr:role-stroke ; gq:partRole gq:rightHandPart ;
    gq:minStrings 1 ; gq:maxStrings 1 ; gq:writtenForm <https://w3id.org/guqin/resource/rh-xuan/form-1> .
<https://w3id.org/guqin/resource/rh-xuan/form-1> a gq:WrittenForm ;
    gq:character "方" ; gq:idsTemplate "⿱方〇" ; gq:preferred true .
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Grammar:
    path = tmp_path_factory.mktemp("graph") / "own.ttl"
    path.write_text(INVENTED, encoding="utf-8")
    return default_grammar((path,))


def test_an_invented_fingering_is_read_written_and_listed(extended: Grammar, grammar: Grammar) -> None:
    with pytest.raises(ReadingError):
        parse("大九旋四", grammar)
    notation = parse("大九旋四", extended)
    assert notation.techniques == ("旋",)
    assert parse("大九漩四", extended) == notation
    assert short_reading(notation, extended) == "大九旋四"
    assert full_reading(notation, extended) == "大指九徽旋四弦"
    out = parse_json("大九旋四", extended)
    assert out["iri"].endswith("/n-da.9-xuan-s4")
    assert out["ids"] == "⿱⿰大九⿱方四"
    listed = list(Lexicon(extended).select({"technique": "旋", "finger": "大", "string": "4"}))
    assert notation in listed


def test_iris_do_not_depend_on_what_else_is_in_the_graph(extended: Grammar, grammar: Grammar) -> None:
    for text in ("大九勾四", "撮大七七散四", "上七九", "名十对起", "散历七六"):
        assert parse_json(text, extended)["iri"] == parse_json(text, grammar)["iri"]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("stroke (", "unexpected"),
        ("<nowhere>", "not defined"),
        ("nofield:(stroke)", "no field"),
        ("(stroke | )", "empty"),
    ],
)
def test_a_broken_rule_is_named(tmp_path: Path, pattern: str, said: str) -> None:
    path = tmp_path / "rule.ttl"
    path.write_text(
        "@prefix gq: <https://w3id.org/guqin/ontology#> . @prefix gqr: <https://w3id.org/guqin/resource/> .\n"
        f'gqr:rule-mine a gq:ReadingForm ; gq:readsForm gq:simple ; gq:priority 1 ; gq:pattern "{pattern}" .',
        encoding="utf-8",
    )
    with pytest.raises(DataError) as caught:
        default_grammar((path,))
    assert caught.value.code == "bad-pattern"
    assert said in caught.value.message or "mine" in caught.value.message

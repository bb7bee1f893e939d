"""Structures as values: a notation that was read stands for its IRI, in queries and explanations alike."""

from __future__ import annotations

import pytest

from guqin_kg import KnowledgeGraph
from guqin_kg.model import Notation
from guqin_kg.query import BindError
from guqin_kg.query.session import GraphSession


@pytest.fixture(scope="module")
def kg(session: GraphSession) -> KnowledgeGraph:
    return KnowledgeGraph(session)


@pytest.mark.parametrize("reading", ["大九勾四", "撮大七七散四", "大六半打二"])
def test_a_structure_is_asked_about_as_its_reading_is(kg: KnowledgeGraph, reading: str) -> None:
    found = kg.query("components-of", notation=kg.notation(reading))
    assert found.terms == kg.query("components-of", notation=reading).terms
    assert bool(found.rows) == (reading != "大六半打二")  # the last is not in this graph


def test_structures_stand_among_several_values(kg: KnowledgeGraph) -> None:
    names = ["大九勾四", "散勾四"]
    mixed = kg.query("components-of", notation=[kg.notation(names[0]), names[1]])
    assert mixed.terms == kg.query("components-of", notation=names).terms
    assert len(mixed) > len(kg.query("components-of", notation=names[0]))


def test_a_structure_is_an_iri_and_nothing_else(kg: KnowledgeGraph) -> None:
    with pytest.raises(BindError):
        kg.query("notations-by-string", string=kg.notation("大九勾四"))
    assert kg.iri("大九勾四") in kg.session.bind("components-of", {"notation": kg.notation("大九勾四")})


@pytest.mark.parametrize("reading", ["大九勾四", "大六半打二"])
def test_a_structure_is_explained_as_its_reading_is(kg: KnowledgeGraph, reading: str) -> None:
    notation = kg.notation(reading)
    assert isinstance(notation, Notation)
    for lang in ("zh", "en"):
        assert kg.explain(notation, lang) == kg.explain(reading, lang)

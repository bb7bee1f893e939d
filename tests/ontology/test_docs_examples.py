"""The queries printed in docs/ontology.md run and answer what the page says."""

from __future__ import annotations

import re

import pytest

from guqin_kg import reason, vocab


@pytest.fixture(scope="module")
def store():
    import pyoxigraph as ox

    store = ox.Store()
    store.bulk_extend(ox.Quad(t.subject, t.predicate, t.object) for t in reason.released_triples())
    return store


@pytest.fixture(scope="module")
def page(repo_root):
    return (repo_root / "docs" / "ontology.md").read_text(encoding="utf-8")


def test_queries_of_the_page_answer(page, store):
    meanings, directions = re.findall(r"```sparql\n(.*?)```", page, re.DOTALL)
    rows = {
        vocab.compact(row["tradition"].value): row["fraction"].value
        for row in store.query(vocab.prefix_lines() + meanings)
    }
    assert rows == {"gqr:tradition-between": "11/20", "gqr:tradition-decimal": "29/50"}
    for tradition, fraction in rows.items():
        assert re.search(rf"{tradition}\s+{fraction}", page)
    sides = {vocab.compact(row["direction"].value) for row in store.query(vocab.prefix_lines() + directions)}
    assert sides == {"gq:Inward", "gq:Outward"}


def test_terms_named_on_the_page_are_declared(page):
    names = set(re.findall(r"`gq:([A-Za-z]+)`", page))
    assert len(names) > 10
    assert not names - vocab.terms()

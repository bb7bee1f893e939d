from __future__ import annotations

import pytest

from guqin_kg.notation.grammar import Grammar, default_grammar


@pytest.fixture(scope="session")
def grammar() -> Grammar:
    """The grammar of the released ontology."""
    return default_grammar()

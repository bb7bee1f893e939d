"""The compiled expressions accept exactly what a general parser made from the same rules accepts."""

from __future__ import annotations

import random

import pytest
from lark import Lark
from lark.exceptions import LarkError

from guqin_kg.notation.grammar import Grammar

from .lark_reference import lark_parser, reference_rules
from .test_round_trip import spell


@pytest.fixture(scope="module")
def reference(grammar: Grammar) -> Lark:
    return lark_parser(grammar)


@pytest.mark.slow
def test_a_general_parser_agrees(reference: Lark, grammar: Grammar) -> None:
    pick = random.Random(7)
    rules = reference_rules(grammar)
    signs = sorted(sign for sign in grammar.alphabet.signs if len(sign) == 1)
    texts = []
    while len(texts) < 16:
        text = grammar.alphabet.code(grammar.alphabet.fold(spell(pick.choice(rules).tree, pick, grammar))).text
        if 0 < len(text) < 14:
            texts.append(text)
            at = pick.randrange(len(text))
            texts.append(text[:at] + pick.choice(signs) + text[at + 1 :])  # most of these are no readings
    accepted = 0
    for text in texts:
        ours = any(rule.regex.fullmatch(text) for rule in rules)
        try:
            reference.parse(text)
            theirs = True
        except LarkError:
            theirs = False
        assert ours == theirs, grammar.alphabet.decode(text)
        accepted += ours
    assert 8 <= accepted < len(texts)

"""The compiled expressions accept exactly what the rules themselves accept."""

from __future__ import annotations

import random

from guqin_kg.notation.grammar import Grammar

from .reference import accepts
from .test_round_trip import spell


def test_compiled_rules_accept_what_the_rules_say(grammar: Grammar) -> None:
    pick = random.Random(7)
    signs = sorted(sign for sign in grammar.alphabet.signs if len(sign) == 1)
    texts = []
    while len(texts) < 300:
        text = grammar.alphabet.code(grammar.alphabet.fold(spell(pick.choice(grammar.rules).tree, pick, grammar))).text
        if 0 < len(text) < 30:
            at = pick.randrange(len(text))
            texts += [text, text[:at] + pick.choice(signs) + text[at + 1 :], text[:at]]
    read = 0
    for text in texts:
        ours = any(rule.regex.fullmatch(text) for rule in grammar.rules)
        assert ours == accepts(text, grammar), grammar.alphabet.decode(text)
        read += ours
    assert 100 < read < len(texts) - 50

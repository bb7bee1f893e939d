"""The reading rules run one by one over their trees, without regular expressions: an independent judge for tests."""

from __future__ import annotations

from guqin_kg.notation.grammar import Grammar
from guqin_kg.notation.pattern import ANY, Alt, Node, Rep, Seq, Term


def accepts(text: str, grammar: Grammar) -> bool:
    """True if some rule reads all of ``text`` (one sign a word)."""
    return any(len(text) in ends(rule.tree, text, frozenset({0}), grammar) for rule in grammar.rules)


def ends(node: Node, text: str, starts: frozenset[int], grammar: Grammar) -> frozenset[int]:
    """Where a reading of ``node`` that begins at one of ``starts`` can end."""
    if not starts:
        return starts
    if isinstance(node, Term):
        if node.role == ANY:
            return frozenset(s + n for s in starts for n in range(1, 5) if s + n <= len(text))
        signs = {grammar.alphabet.sign_of(base.name) for base in grammar.alphabet.matching(node)}
        return frozenset(s + len(sign) for s in starts for sign in signs if text.startswith(sign, s))
    if isinstance(node, Seq):
        for item in node.items:
            starts = ends(item, text, starts, grammar)
        return starts
    if isinstance(node, Alt):
        return frozenset().union(*(ends(item, text, starts, grammar) for item in node.items))
    if isinstance(node, Rep):
        found = starts if node.low == 0 else frozenset()
        at = starts
        for times in range(1, node.high + 1):
            at = ends(node.item, text, at, grammar)
            if times >= node.low:
                found |= at
        return found
    return ends(node.item, text, starts, grammar)

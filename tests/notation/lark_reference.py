"""A Lark grammar made from the same rules: an independent judge of what is a reading (slow, for tests and benchmarks)."""

from __future__ import annotations

import re

from lark import Lark

from guqin_kg.notation.grammar import Grammar, Rule
from guqin_kg.notation.pattern import ANY, Alt, Node, Rep, Seq, Term


def reference_rules(grammar: Grammar) -> list[Rule]:
    """All rules but that of many steps, whose chart takes minutes to build."""
    return [rule for rule in grammar.rules if rule.name != "aside-steps"]


def lark_grammar(grammar: Grammar) -> str:
    """The rules as text for Lark, over coded text (one sign a word)."""
    terminals: dict[str, str] = {}

    def terminal(node: Term) -> str:
        if node.role == ANY:
            pattern = r".{1,4}"
        else:
            signs = sorted({grammar.alphabet.sign_of(b.name) for b in grammar.alphabet.matching(node)}, key=len)
            pattern = "|".join(map(re.escape, reversed(signs))) or "(?!)"
        return terminals.setdefault(pattern, f"T{len(terminals)}")

    def write(node: Node) -> str:
        if isinstance(node, Term):
            return terminal(node)
        if isinstance(node, Seq):
            return "(" + " ".join(map(write, node.items)) + ")"
        if isinstance(node, Alt):
            return "(" + " | ".join(map(write, node.items)) + ")"
        if isinstance(node, Rep):
            inner = write(node.item)
            return f"({inner})?" if (node.low, node.high) == (0, 1) else f"({inner})~{node.low}..{node.high}"
        return write(node.item)

    rules = [f"r{i}: {write(rule.tree)}" for i, rule in enumerate(reference_rules(grammar))]
    start = "start: " + " | ".join(f"r{i}" for i in range(len(rules)))
    words = [f"{name}: /{pattern}/" for pattern, name in terminals.items()]
    return "\n".join([start, *rules, *words])


def lark_parser(grammar: Grammar, parser: str = "earley") -> Lark:
    """A Lark parser of the rules; ``lalr`` raises a grammar error where the rules are no LALR(1) grammar."""
    return Lark(lark_grammar(grammar), parser=parser, lexer="dynamic" if parser == "earley" else "basic")

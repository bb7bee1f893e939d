"""The pattern language of reading rules: regular expressions over grammar roles.

A pattern is written in Turtle (``gq:pattern``) and never mentions Python::

    modifier{0,2} tone? finger? <place>? attack{0,3} stroke strings:(<string-number>{1,7})

``role``              a word of any base notation with that grammar role
``role(1..9,11)``     only those with that ``gq:number``; ``role(half)`` that position effect; ``role(word)`` that word;
                      ``role(-word)`` all but that word, or but those with that other role
``role(max=1)``       only those with ``gq:maxStrings`` 1
``<name>``            the pattern of another rule
``any``               one to four free characters (the name of a reference mark)
``field:atom``        put what ``atom`` reads into that field of the note (default: the field of its role)
``[ … ]``             a note of its own inside the notation
``( | )  ?  {m,n}``   grouping, ordered choice, optional, bounded repetition

Choice is ordered and repetition greedy: the first way to read the whole text is the reading.
All repetition is bounded, so the language is finite and can be listed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from guqin_kg.errors import DataError

ANY = "any"
# role -> field of a note; a role that is not named here gives a technique
FIELD_OF_ROLE = {
    "finger": "left_finger",
    "tone": "tone",
    "attack": "ornaments",
    "modifier": "modifiers",
    "quality": "modifiers",
    "wrap": "modifiers",
    "count": "count",
    "string": "strings",
    "hui": "position",
    "fen": "position",
    "position-sign": "position",
}
FIELDS = frozenset({*FIELD_OF_ROLE.values(), "techniques"})


@dataclass(frozen=True, slots=True)
class Term:
    """A word with grammar role ``role``, narrowed to some numbers or to some effects and words."""

    role: str
    numbers: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    max_strings: int | None = None


@dataclass(frozen=True, slots=True)
class Seq:
    """One after the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """The first that fits."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Rep:
    """``low`` to ``high`` times, as many as fit."""

    item: Node
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Capture:
    """What ``item`` reads goes into ``field``."""

    field: str
    item: Node


@dataclass(frozen=True, slots=True)
class Sub:
    """A note inside the notation."""

    item: Node


Node = Term | Seq | Alt | Rep | Capture | Sub

_TOKEN = re.compile(
    r"\s*(?:(?P<field>[a-z_]+):|<(?P<ref>[\w-]+)>|(?P<role>[a-z][a-z-]*)(?:\((?P<args>[^)]*)\))?"
    r"|\{(?P<low>\d+),(?P<high>\d+)\}|(?P<sign>[()\[\]|?]))"
)


class _Reader:
    def __init__(self, text: str, where: str, macro: Callable[[str], Node]) -> None:
        self.where = where
        self.macro = macro
        self.tokens: list[re.Match[str]] = []
        at = 0
        text = text.strip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if not found:
                raise DataError(
                    f"the reading pattern of {where} cannot be understood at “{text[at : at + 20]}”",
                    code="bad-pattern",
                    hint="see docs/readings.md for the pattern language",
                )
            self.tokens.append(found)
            at = found.end()
        self.at = 0

    def peek(self, group: str = "sign") -> str | None:
        return self.tokens[self.at][group] if self.at < len(self.tokens) else None

    def fail(self, what: str) -> DataError:
        return DataError(f"the reading pattern of {self.where}: {what}", code="bad-pattern")

    def choice(self) -> Node:
        items = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            items.append(self.sequence())
        return items[0] if len(items) == 1 else Alt(tuple(items))

    def sequence(self) -> Node:
        items: list[Node] = []
        while self.at < len(self.tokens) and self.peek() not in ("|", ")", "]"):
            items.append(self.repeated())
        if not items:
            raise self.fail("an empty alternative")
        return items[0] if len(items) == 1 else Seq(tuple(items))

    def repeated(self) -> Node:
        field = self.peek("field")
        if field:
            if field not in FIELDS:
                raise self.fail(f"there is no field {field!r}")
            self.at += 1
            return Capture(field, self.repeated())
        node = self.atom()
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token["sign"] == "?":
                node = Rep(node, 0, 1)
            elif token["low"] is not None:
                node = Rep(node, int(token["low"]), int(token["high"]))
            else:
                break
            self.at += 1
        return node

    def atom(self) -> Node:
        token = self.tokens[self.at]
        self.at += 1
        if token["role"]:
            return _term(token["role"], token["args"])
        if token["ref"]:
            return self.macro(token["ref"])
        closing = {"(": ")", "[": "]"}.get(token["sign"] or "")
        if closing is None:
            raise self.fail(f"unexpected {token[0].strip()!r}")
        inside = self.choice()
        if self.peek() != closing:
            raise self.fail(f"{token['sign']} without {closing}")
        self.at += 1
        return Sub(inside) if closing == "]" else inside


def _term(role: str, args: str | None) -> Term:
    numbers: set[int] = set()
    names: set[str] = set()
    excluded: set[str] = set()
    max_strings = None
    for arg in (args or "").split(","):
        low, dots, high = arg.strip().partition("..")
        if low.isdecimal():
            numbers.update(range(int(low), int(high if dots else low) + 1))
        elif low.startswith("-"):
            excluded.add(low[1:])
        elif low.startswith("max="):
            max_strings = int(low[4:])
        elif low:
            names.add(low)
    return Term(role, frozenset(numbers), frozenset(names), frozenset(excluded), max_strings)


def read_patterns(texts: Mapping[str, str]) -> dict[str, Node]:
    """Compile named patterns, which may use each other.

    Raises:
        DataError: ``bad-pattern``, naming the rule: not understood, an unknown name, or a circle of names.
    """
    done: dict[str, Node] = {}
    open_names: list[str] = []

    def node(name: str) -> Node:
        if name in done:
            return done[name]
        if name not in texts or name in open_names:
            why = "uses itself" if name in open_names else "is not defined"
            raise DataError(f"the reading pattern <{name}> {why}", code="bad-pattern")
        open_names.append(name)
        reader = _Reader(texts[name], name, node)
        tree = reader.choice()
        if reader.at != len(reader.tokens):
            raise reader.fail("text after the end")
        open_names.pop()
        done[name] = tree
        return tree

    for name in texts:
        node(name)
    return done


def terms(node: Node) -> Iterator[Term]:
    """All terms below ``node``, from left to right."""
    if isinstance(node, Term):
        yield node
    elif isinstance(node, Seq | Alt):
        for item in node.items:
            yield from terms(item)
    else:
        yield from terms(node.item)


def has_fields(node: Node) -> bool:
    """True if ``node`` names a field or holds a note of its own."""
    if isinstance(node, Capture | Sub):
        return True
    if isinstance(node, Seq | Alt):
        return any(has_fields(item) for item in node.items)
    return isinstance(node, Rep) and has_fields(node.item)


def field_of(node: Node) -> str | None:
    """The one default field of all terms below ``node``, or None where they differ."""
    found = {FIELD_OF_ROLE.get(term.role, "techniques") for term in terms(node) if term.role != "unit"}
    return found.pop() if len(found) == 1 else None


def settle_fields(node: Node) -> Node:
    """Wrap what has no field yet into the default field of its roles; spell out repeated notes.

    Raises:
        DataError: a repetition mixes fields without naming one.
    """
    if isinstance(node, Capture):
        return node
    if isinstance(node, Sub):
        return Sub(settle_fields(node.item))
    if not has_fields(node):
        field = field_of(node)
        if field:
            return Capture(field, node)
        if isinstance(node, Rep) and node.high > 1:
            raise DataError("a reading pattern repeats words of several fields; name the field", code="bad-pattern")
    if isinstance(node, Seq):
        return Seq(tuple(settle_fields(item) for item in node.items))
    if isinstance(node, Alt):
        return Alt(tuple(settle_fields(item) for item in node.items))
    if isinstance(node, Rep):
        inner = settle_fields(node.item)
        if node.high == 1:
            return Rep(inner, node.low, 1)
        tail: Node | None = None
        for _ in range(node.high - node.low):
            tail = Rep(inner if tail is None else Seq((inner, tail)), 0, 1)
        parts = (*(inner,) * node.low, *(() if tail is None else (tail,)))
        return parts[0] if len(parts) == 1 else Seq(parts)
    return node


def trie_regex(words: list[str]) -> str:
    """A regular expression for a set of words that tries longer words first."""
    root: dict[str, dict] = {}
    for word in words:
        at = root
        for char in word:
            at = at.setdefault(char, {})
        at[""] = {}

    def write(at: dict[str, dict]) -> str:
        branches: dict[str, list[str]] = {}
        for char in sorted(at):
            if char:
                branches.setdefault(write(at[char]), []).append(char)
        ends = "" in at
        arms = []
        for tail, chars in branches.items():
            head = re.escape(chars[0]) if len(chars) == 1 else "[" + "".join(map(re.escape, chars)) + "]"
            arms.append(head + tail)
        if not arms:
            return ""
        body = arms[0] if len(arms) == 1 and not ends else "(?:" + "|".join(arms) + ")"
        return body + "?" if ends else body

    return write(root)

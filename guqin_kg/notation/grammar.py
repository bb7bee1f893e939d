"""The reading grammar: rules and words from the graph, compiled to regular expressions.

A rule is a ``gq:ReadingForm`` (or a ``gq:ReadingPattern``, a named part of rules) in ``ontology/data/grammar.ttl``; its
words are the base notations with the roles it names. Nothing here knows a word: a new base notation in Turtle is a new
terminal. The language is regular, and compiled regular expressions were the fastest of the ways measured
(``docs/adr``, ``docs/benchmarks/readings.md``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Literal, cast

from guqin_kg import resources
from guqin_kg.errors import DataError
from guqin_kg.inventory import GQ, BaseNotation, Inventory, load_inventory, local
from guqin_kg.model import Form, Position
from guqin_kg.notation.normalise import Alphabet
from guqin_kg.notation.pattern import (
    ANY,
    Alt,
    Capture,
    Node,
    Rep,
    Seq,
    Sub,
    Term,
    read_patterns,
    settle_fields,
    trie_regex,
)

_RDFS_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
_SKOS_DEFINITION = "http://www.w3.org/2004/02/skos/core#definition"
Effect = Literal["half", "outside", "above", "below"]


@dataclass(frozen=True, slots=True)
class Slot:
    """A group of a compiled rule: the note (0 = the notation itself) and field it fills, and what its signs mean."""

    note: int
    field: str
    table: dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """One compiled ``gq:ReadingForm``."""

    name: str
    iri: str
    form: Form
    priority: int
    tree: Node
    pattern: str
    slots: tuple[Slot, ...]
    notes: int
    normalises_order: bool
    labels: dict[str, str]

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The compiled pattern (made when first needed; the rule of many steps takes a while)."""
        return re.compile(self.pattern, re.DOTALL)


@dataclass(frozen=True, slots=True)
class AmbiguityRule:
    """A documented decision between two ways to read the same characters."""

    code: str
    iri: str
    labels: dict[str, str]
    definitions: dict[str, str]


class Grammar:
    """All rules of an inventory, compiled.

    Args:
        inventory: the base notations and rules (see :func:`default_grammar` for the released ones).

    Raises:
        DataError: ``bad-pattern`` if a rule of the graph cannot be understood, ``no-rules`` if there is none.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.alphabet = Alphabet(inventory)
        self.positions: dict[str, Position] = {}
        self._classes: dict[Term, list[str]] = {}
        self._places: dict[Node, tuple[dict[str, Any], str]] = {}
        view = inventory.view
        forms = view.instances(GQ + "ReadingForm")
        parts = view.instances(GQ + "ReadingPattern")
        named = {local(iri).removeprefix("rule-"): iri for iri in (*forms, *parts)}
        trees = read_patterns({name: view.value(iri, GQ + "pattern") or "" for name, iri in named.items()})
        rules = [self._rule(name, named[name], trees[name]) for name in named if named[name] in set(forms)]
        if not rules:
            raise DataError(
                "the graph holds no reading rules (gq:ReadingForm)",
                code="no-rules",
                hint="keep ontology/data/grammar.ttl beside the base notations",
            )
        self.parts = {name: trees[name] for name, iri in named.items() if iri in set(parts)}
        self.rules = tuple(sorted(rules, key=lambda rule: (rule.priority, rule.name)))

    # -- what the graph says --------------------------------------------------------------------------------------

    @cached_property
    def ambiguities(self) -> dict[str, AmbiguityRule]:
        """Code (``A1``) to the documented decision."""
        view = self.inventory.view
        found = [
            AmbiguityRule(
                view.value(iri, GQ + "code") or local(iri),
                iri,
                view.by_lang(iri, _RDFS_LABEL),
                view.by_lang(iri, _SKOS_DEFINITION),
            )
            for iri in view.instances(GQ + "AmbiguityRule")
        ]
        return {rule.code: rule for rule in found}

    @cached_property
    def sound_of(self) -> dict[str, str]:
        """Reading word to the sound it implies, where it implies one."""
        out: dict[str, str] = {}
        for base in self.alphabet.bases:
            implied = base.extra.get("impliesSound")
            if implied:
                out.setdefault(base.name, local(implied[0]).lower())
        return out

    @cached_property
    def excluded_by(self) -> dict[str, frozenset[str]]:
        """Tone word to the grammar roles it excludes."""
        view = self.inventory.view
        return {
            base.name: frozenset(view.value(r, GQ + "code") or local(r) for r in base.extra.get("excludes", ()))
            for base in self.inventory.by_role("tone")
        }

    @cached_property
    def unwritten_tones(self) -> frozenset[str]:
        """Tone words that only explain beside a finger (the sign of a stopped note)."""
        return frozenset(
            b.name for b in self.inventory.by_role("tone") if b.extra.get("unwrittenWhenFull") == ("true",)
        )

    @cached_property
    def words(self) -> dict[str, frozenset[str]]:
        """Grammar role to the reading words that have it."""
        roles = {role for base in self.alphabet.bases for role in base.roles}
        return {role: frozenset(b.name for b in self.alphabet.bases if role in b.roles) for role in roles}

    @cached_property
    def sign_effect(self) -> dict[str, Effect]:
        """Position sign to what it does."""
        return {
            b.name: cast(Effect, b.position_effect)
            for b in self.inventory.by_role("position-sign")
            if b.position_effect
        }

    @cached_property
    def pinch_minimum(self) -> dict[str, int]:
        """Words for two strings sounded together, with the fewest strings they may name."""
        return {base.name: base.min_strings or 0 for base in self.inventory.by_role("pinch")}

    def base(self, word: str, *roles: str) -> BaseNotation | None:
        """The base notation ``word`` with one of ``roles``; components count only where nothing else has the name."""
        known = [b for b in self.inventory.named(word) if b.roles - {"component"}] or self.inventory.named(word)
        for role in roles:
            for base in known:
                if role in base.roles:
                    return base
        return None if roles else next(iter(known), None)

    # -- compiling ------------------------------------------------------------------------------------------------

    def _rule(self, name: str, iri: str, tree: Node) -> Rule:
        view = self.inventory.view
        form = local(view.value(iri, GQ + "readsForm") or "").lower()
        if form not in ("simple", "complex", "aside", "standalone"):
            raise DataError(f"the reading rule {name} has no gq:readsForm", code="bad-pattern")
        settled = settle_fields(tree)
        slots: list[Slot] = []
        counter = [0]
        pattern = self._regex(settled, slots, 0, counter)
        return Rule(
            name=name,
            iri=iri,
            form=cast(Form, form),
            priority=int(view.value(iri, GQ + "priority") or 100),
            tree=settled,
            pattern=pattern,
            slots=tuple(slots),
            notes=counter[0],
            normalises_order=view.value(iri, GQ + "normalisesOrder") == "true",
            labels=view.by_lang(iri, _RDFS_LABEL),
        )

    def _signs(self, term: Term) -> list[str]:
        found = self._classes.get(term)
        if found is None:
            code = self.alphabet.sign_of
            found = self._classes[term] = sorted({code(base.name) for base in self.alphabet.matching(term)})
        return found

    def _regex(self, node: Node, slots: list[Slot], note: int, counter: list[int]) -> str:
        if isinstance(node, Capture):
            at = len(slots)
            slots.append(Slot(note, node.field, {}))
            table: dict[str, Any]
            if node.field == "position":
                table, body = self._positions(node.item)
            else:
                table = self._table(node)
                body = self._regex(node.item, slots, note, counter)
            slots[at] = Slot(note, node.field, table)
            return f"({body})"
        if isinstance(node, Sub):
            counter[0] += 1
            return "(?:" + self._regex(node.item, slots, counter[0], counter) + ")"
        if isinstance(node, Seq):
            return "".join(self._regex(item, slots, note, counter) for item in node.items)
        if isinstance(node, Alt):
            return "(?:" + "|".join(self._regex(item, slots, note, counter) for item in node.items) + ")"
        if isinstance(node, Rep):
            body = f"(?:{self._regex(node.item, slots, note, counter)})"
            if (node.low, node.high) == (0, 1):
                return body + "?"
            return body + f"{{{node.low},{node.high}}}"
        if node.role == ANY:
            return ".{1,4}?"
        return trie_regex(self._signs(node)) or r"(?!)"

    def _table(self, node: Capture) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for term in _terms_of(node.item):
            if term.role == "unit":
                continue
            for base in self.alphabet.matching(term):
                table[self.alphabet.sign_of(base.name)] = base.number if node.field == "strings" else base.name
        return table

    def _positions(self, node: Node) -> tuple[dict[str, Any], str]:
        """Spelling to position for all that a pattern of a position can read, and a regular expression for them."""
        if node not in self._places:
            table: dict[str, Any] = {}
            optional = ""
            for spelled in self.enumerate_bases(node):
                text = "".join([self.alphabet.sign_of(base.name) for base in spelled])
                if not text:
                    optional = "?"  # a position that may be left out
                elif text not in table:
                    table[text] = _position([base for base in spelled if "unit" not in base.roles])
            self.positions.update(table)
            self._places[node] = (table, f"(?:{trie_regex(sorted(table)) or r'(?!)'}){optional}")
        return self._places[node]

    def positions_of(self, node: Node) -> dict[str, Position]:
        """Spelling to position for all that a pattern of a position can read, in pattern order."""
        return self._positions(node)[0]

    def enumerate_bases(self, node: Node) -> Iterator[tuple[BaseNotation, ...]]:
        """All sequences of base notations a pattern without notes of its own can read, in pattern order."""
        if isinstance(node, Term):
            for base in self.alphabet.matching(node):
                yield (base,)
        elif isinstance(node, Alt):
            for item in node.items:
                yield from self.enumerate_bases(item)
        elif isinstance(node, Seq):
            for parts in product(*(list(self.enumerate_bases(item)) for item in node.items)):
                yield tuple(base for part in parts for base in part)
        elif isinstance(node, Rep):
            for times in range(node.high, node.low - 1, -1):
                yield from self.enumerate_bases(Seq((node.item,) * times)) if times else iter(((),))
        else:
            yield from self.enumerate_bases(node.item)


def _terms_of(node: Node) -> Iterator[Term]:
    if isinstance(node, Term):
        yield node
    elif isinstance(node, Seq | Alt):
        for item in node.items:
            yield from _terms_of(item)
    else:
        yield from _terms_of(node.item)


def _position(bases: list[BaseNotation]) -> Position:
    """Hui, then fen or a second hui (written between two), then a sign."""
    hui = fen = None
    sign = effect = None
    for base in bases:
        if base.position_effect:
            sign, effect = base.name, cast(Effect, base.position_effect)
        elif "hui" in base.roles and hui is None:
            hui = base.number
        else:
            fen = base.number
    return Position(hui=hui, fen=fen, sign=sign, effect=effect)


_cache: dict[str, Grammar] = {}


def grammar_of(inventory: Inventory) -> Grammar:
    """The compiled grammar of an inventory; one per content hash and process."""
    found = _cache.get(inventory.content_hash)
    if found is None:
        found = _cache[inventory.content_hash] = Grammar(inventory)
    return found


def default_grammar(extra: tuple[Path, ...] = ()) -> Grammar:
    """The grammar of the released ontology, and of ``extra`` Turtle files (a workspace's own)."""
    key = "|".join(("default", *map(str, extra)))
    found = _cache.get(key) if not extra else None
    if found is None:
        # the shipped compound notations hold no word and no rule; leaving them out keeps `guqin parse` quick
        base = [path for path in resources.ontology_files() if path.parent.name != "curated"]
        found = grammar_of(load_inventory(extra, base=base))
        if not extra:
            _cache[key] = found
    return found

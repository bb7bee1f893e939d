"""Every well-formed compound notation that the graph's words and lexicon rules allow, listed lazily.

A lexicon rule (``gq:LexiconRule`` in ``ontology/data/lexicon.ttl``) is a reading pattern whose every reading is a
well-formed notation, and no two rules give the same one. The order is that of the rules, then that of the words in the
graph, so it is the same everywhere. Sizes are products and sums over the patterns: nothing is listed to be counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, TypeAlias, cast, get_args

from guqin_kg.errors import UsageError
from guqin_kg.inventory import GQ, Inventory, local
from guqin_kg.model import Form, Notation, Note, Position, Sound
from guqin_kg.notation.components import FIELD_ROLES, position_name
from guqin_kg.notation.grammar import Grammar, default_grammar, grammar_of
from guqin_kg.notation.matching import assemble
from guqin_kg.notation.normalise import MAX_LENGTH
from guqin_kg.notation.pattern import Alt, Capture, Node, Rep, Seq, Sub, Term, read_patterns, settle_fields, terms

PUBLISHED_SIZE = 26_416
WHERE_KEYS = ("finger", "technique", "string", "hui", "ornament", "sound", "form", "tone", "rule")
_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
_LISTED = 4_000  # parts of a pattern up to this size are listed once
_TOLD = 2_000  # after so many notations looked at, whoever waits is told
_FIELD_OF_KEY = {
    "finger": "left_finger",
    "technique": "techniques",
    "string": "strings",
    "hui": "position",
    "ornament": "ornaments",
    "tone": "tone",
}

Item = tuple[int, str, Any]
#: Condition to a value that some notation has: a word, a number, a position, or the name of a rule.
Settled: TypeAlias = Mapping[str, Any]
#: Called with the notations looked at so far and those to look at altogether.
Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class LexiconRule:
    """One rule: its name, labels, form, pattern, and whether the curated set takes it whole."""

    name: str
    iri: str
    labels: Mapping[str, str]
    form: Form
    priority: int
    tree: Node
    curated: bool


class Lexicon:
    """The lexicon of a grammar.

    Args:
        source: a grammar or an inventory (default: the released ontology's).
    """

    def __init__(self, source: Grammar | Inventory | None = None) -> None:
        if source is None:
            source = default_grammar()
        self.grammar = grammar_of(source) if isinstance(source, Inventory) else source
        view = self.grammar.inventory.view
        iris = {local(iri).removeprefix("lexicon-"): iri for iri in view.instances(GQ + "LexiconRule")}
        texts = {name: view.value(iri, GQ + "pattern") or "" for name, iri in iris.items()}
        parts = {
            local(iri).removeprefix("rule-"): view.value(iri, GQ + "pattern") or ""
            for iri in view.instances(GQ + "ReadingPattern")
        }
        trees = read_patterns({**parts, **texts})
        rules = [
            LexiconRule(
                name=name,
                iri=iri,
                labels=view.by_lang(iri, _LABEL),
                form=cast(Form, local(view.value(iri, GQ + "readsForm") or "simple").lower()),
                priority=int(view.value(iri, GQ + "priority") or 100),
                tree=settle_fields(trees[name]),
                curated=view.value(iri, GQ + "curatedWhole") == "true",
            )
            for name, iri in iris.items()
        ]
        self.rules = tuple(sorted(rules, key=lambda rule: (rule.priority, rule.name)))

    # -- counting -------------------------------------------------------------------------------------------------

    def count(self, where: Mapping[str, str] | None = None) -> int:
        """How many notations there are (with conditions: how many meet them)."""
        return sum(self.count_by_rule(where).values())

    def count_by_rule(
        self, where: Mapping[str, str] | None = None, *, progress: Progress | None = None
    ) -> dict[str, int]:
        """Rule name to number of notations.

        Args:
            where: conditions, as for :meth:`select`.
            progress: told now and then, where conditions make it necessary to look at each.

        Raises:
            UsageError: there is no such condition or value.
        """
        if not where:
            return {rule.name: self._size(rule.tree) for rule in self.rules}
        settled = self.settle(where)
        out = {rule.name: 0 for rule, _ in self._narrowed(settled)}
        for rule, _ in self._scan(settled, progress):
            out[rule.name] += 1
        return out

    def _size(self, node: Node) -> int:
        if isinstance(node, Capture):
            return len(self._values(node)) if node.field == "position" else self._size(node.item)
        if isinstance(node, Term):
            return 0 if node.role == "unit" else len(self.grammar.alphabet.matching(node))
        if isinstance(node, Sub):
            return self._size(node.item)
        if isinstance(node, Alt):
            return sum(self._size(item) for item in node.items)
        if isinstance(node, Seq):
            out = 1
            for item in node.items:
                out *= self._size(item)
            return out
        if _only_units(node.item):
            return 1
        return sum(self._size(node.item) ** times for times in range(node.low, node.high + 1))

    # -- listing --------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Notation]:
        for rule in self.rules:
            yield from self._of_rule(rule, rule.tree)

    def select(self, where: Mapping[str, str] | None = None, *, progress: Progress | None = None) -> Iterator[Notation]:
        """The notations that meet ``where`` (see ``WHERE_KEYS``), in lexicon order.

        Args:
            where: condition to value, a word of the graph or a number.
            progress: told now and then how many of how many were looked at.

        Raises:
            UsageError: there is no such condition or value; said at once, not when the first notation is asked for.
        """
        settled = self.settle(where or {})
        return (notation for _, notation in self._scan(settled, progress))

    def _scan(self, settled: Settled, progress: Progress | None) -> Iterator[tuple[LexiconRule, Notation]]:
        """The notations that meet ``settled``, each with its rule."""
        tests = [_test(key, value) for key, value in settled.items()]
        narrowed = list(self._narrowed(settled))
        total = sum(self._size(tree) for _, tree in narrowed) if progress else 0
        done = 0
        for rule, tree in narrowed:
            for notation in self._of_rule(rule, tree):
                done += 1
                if progress and done % _TOLD == 0:
                    progress(done, total)
                if all(test(notation) for test in tests):
                    yield rule, notation

    @cached_property
    def values(self) -> dict[str, tuple[Any, ...]]:
        """Condition to the values that some notation has: what the rules can read, in their order."""
        found: dict[str, dict[Any, None]] = {key: {} for key in WHERE_KEYS}
        found["sound"] = dict.fromkeys(get_args(Sound))
        keys = {field: key for key, field in _FIELD_OF_KEY.items()}
        for rule in self.rules:
            found["rule"][rule.name] = found["form"][rule.form] = None
            for capture in _captures(rule.tree):
                if capture.field in keys:
                    found[keys[capture.field]].update(dict.fromkeys(self._values(capture)))
        return {key: tuple(some) for key, some in found.items()}

    def settle(self, where: Mapping[str, str]) -> dict[str, Any]:
        """Conditions as a person writes them, as values of notations.

        Raises:
            UsageError: there is no such condition, or no notation can have the value; names those that exist.
        """
        out: dict[str, Any] = {}
        for key, text in where.items():
            if key not in WHERE_KEYS:
                raise UsageError(f"there is no condition {key!r}", hint="conditions: " + ", ".join(WHERE_KEYS))
            value = self._value(key, text)
            if value not in self.values[key]:
                known = ", ".join(map(self._shown, sorted(self.values[key], key=_rank)))
                raise UsageError(f"no notation of the lexicon has {key}={text[:MAX_LENGTH]}", hint=f"{key}: {known}")
            out[key] = value
        return out

    def _value(self, key: str, text: str) -> Any:
        """What ``text`` says; None (or something no notation has) where it says nothing."""
        if key not in _FIELD_OF_KEY:
            return text
        if len(text) > MAX_LENGTH:
            return None
        alphabet = self.grammar.alphabet
        folded = alphabet.fold(text)
        if key == "string":
            return alphabet.digits.get(folded)
        coded = alphabet.code(folded).text
        return self.grammar.positions.get(coded) if key == "hui" else alphabet.decode(coded)

    def _shown(self, value: Any) -> str:
        return position_name(value, self.grammar) if isinstance(value, Position) else str(value)

    def of_rule(self, name: str) -> Iterator[Notation]:
        """The notations of one rule."""
        for rule in self.rules:
            if rule.name == name:
                yield from self._of_rule(rule, rule.tree)

    def _of_rule(self, rule: LexiconRule, tree: Node) -> Iterator[Notation]:
        for items in self._items(tree):
            yield self._notation(items, rule.form)

    def _notation(self, items: Iterable[Item], form: Form) -> Notation:
        notes: list[dict[str, Any]] = [{}]
        for note, field, value in items:
            while len(notes) <= note:
                notes.append({})
            fields = notes[note]
            if field in ("techniques", "ornaments", "modifiers", "strings"):
                fields[field] = (*fields.get(field, ()), value)
            else:
                fields[field] = value
        return assemble(notes, form, self.grammar, "")

    def _items(self, node: Node, field: str = "", note: int = 0) -> Iterator[tuple[Item, ...]]:
        """All ways to read ``node``, as fields of notes."""
        if isinstance(node, Capture):
            if node.field == "position":
                for position in self._values(node):
                    yield ((note, "position", position),)
            else:
                yield from self._items(node.item, node.field, note)
        elif isinstance(node, Term):
            for base in self.grammar.alphabet.matching(node):
                yield ((note, field, base.number if field == "strings" else base.name),)
        elif isinstance(node, Alt):
            for item in node.items:
                yield from self._items(item, field, note)
        elif isinstance(node, Seq):
            yield from self._sequence(node.items, field, note)
        elif isinstance(node, Rep):
            if _only_units(node.item):
                yield ()
                return
            for times in range(node.low, node.high + 1):
                yield from self._sequence((node.item,) * times, field, note)
        else:
            yield from self._items(node.item, field, note + 1)

    def _sequence(self, nodes: tuple[Node, ...], field: str, note: int) -> Iterator[tuple[Item, ...]]:
        if not nodes:
            yield ()
            return
        head, *tail = nodes
        after = note + _notes(head)
        rest = tuple(tail)
        if self._size_of(rest) <= _LISTED:
            tails = list(self._sequence(rest, field, after))
            for first in self._items(head, field, note):
                for last in tails:
                    yield first + last
        else:
            for first in self._items(head, field, note):
                for last in self._sequence(rest, field, after):
                    yield first + last

    def _size_of(self, nodes: tuple[Node, ...]) -> int:
        out = 1
        for node in nodes:
            out *= self._size(node)
        return out

    def _values(self, node: Capture) -> list[Any]:
        """What the slot can hold: positions, string numbers or words."""
        if node.field == "position":
            return list(dict.fromkeys(self.grammar.positions_of(node.item).values()))
        bases = (b for term in terms(node.item) if term.role != "unit" for b in self.grammar.alphabet.matching(term))
        return list(dict.fromkeys(b.number if node.field == "strings" else b.name for b in bases))

    def _narrowed(self, where: Settled) -> Iterator[tuple[LexiconRule, Node]]:
        """Rules that can meet the conditions, with the words of single slots narrowed to those asked for."""
        wanted: dict[str, frozenset[str | int | None]] = {}
        for key, role in (("finger", "finger"), ("tone", "tone"), ("ornament", "attack")):
            if key in where:
                wanted[role] = frozenset({where[key]})
        if "string" in where:
            wanted["string"] = frozenset({where["string"]})
        if "hui" in where:
            position = where["hui"]
            wanted["hui" if position.hui else "position-sign"] = frozenset({position.hui or position.sign})
        if "technique" in where:
            base = self.grammar.base(where["technique"], *FIELD_ROLES["techniques"])
            if base is not None and len(base.roles - {"component"}) == 1:
                wanted[next(iter(base.roles - {"component"}))] = frozenset({base.name})
        for rule in self.rules:
            if where.get("rule", rule.name) != rule.name or where.get("form", rule.form) != rule.form:
                continue
            tree: Node | None = rule.tree
            if "technique" in where and not self._names_word(rule.tree, where["technique"]):
                continue
            for role, values in wanted.items():
                times = _occurrences(rule.tree, role)
                if tree is None or (times == 0 and role not in ("hui", "position-sign")):
                    tree = None
                elif times == 1:
                    tree = self._keep(tree, role, values)
            if tree is not None:
                yield rule, tree

    def _names_word(self, tree: Node, word: str) -> bool:
        return any(base.name == word for term in terms(tree) for base in self.grammar.alphabet.matching(term))

    def first_with(
        self, rule: LexiconRule, role: str, name: str, usual: Mapping[str, frozenset[str]]
    ) -> Notation | None:
        """The first notation of ``rule`` whose word of ``role`` is ``name``, the others being usual where they can."""
        tree = self._keep(rule.tree, role, frozenset({name}))
        if tree is None or not _occurrences(tree, role):
            return None
        for other, names in usual.items():
            if other != role:
                tree = self._keep(tree, other, frozenset(names), must=False) or tree
        return next(iter(self._of_rule(rule, tree)), None)

    def _keep(self, node: Node, role: str, values: frozenset[str | int | None], *, must: bool = True) -> Node | None:
        """``node`` with the words of ``role`` cut down to ``values`` (names or numbers); None where nothing is left.

        With ``must``, alternatives and optional parts that lead past ``role`` are cut away too.
        """
        if isinstance(node, Term):
            if node.role != role:
                return node
            kept = [b.name for b in self.grammar.alphabet.matching(node) if b.name in values or b.number in values]
            return Term(role, names=frozenset(kept)) if kept else None
        if isinstance(node, Seq | Alt):
            items = node.items
            if must and isinstance(node, Alt) and _occurrences(node, role):
                items = tuple(item for item in items if _occurrences(item, role))
            cut = [self._keep(item, role, values, must=must) for item in items]
            left = tuple(item for item in cut if item is not None)
            if isinstance(node, Alt):
                return Alt(left) if left else None
            return Seq(left) if len(left) == len(cut) else None
        inner = self._keep(node.item, role, values, must=must)
        if isinstance(node, Rep):
            if inner is None:
                return Seq(()) if node.low == 0 and not must else None
            low = max(node.low, 1) if must and _occurrences(node.item, role) else node.low
            return Rep(inner, low, node.high)
        if inner is None:
            return None
        return Capture(node.field, inner) if isinstance(node, Capture) else Sub(inner)


def published(source: Grammar | Inventory | None = None) -> Iterator[Notation]:
    """The first 26,416 notations: as many as the published work has, by the rules for its kinds of notation."""
    return islice(iter(Lexicon(source)), PUBLISHED_SIZE)


def curated(source: Grammar | Inventory | None = None) -> Iterator[Notation]:
    """The set shipped in the graph, chosen by rule.

    First all notations of the lexicon rules marked ``gq:curatedWhole``; then, for every base notation that no chosen
    one uses yet, the first notation of the lexicon that uses it, its other words being those of the marked rules where
    they can.
    """
    from guqin_kg.notation.components import parts, word_base

    lexicon = Lexicon(source)
    grammar = lexicon.grammar
    used: set[str] = set()
    chosen: dict[Notation, None] = {}

    def take(notation: Notation) -> None:
        chosen[notation] = None
        used.update(base.iri for part in parts(notation, grammar) for base in part.bases)
        for note in (notation, *notation.notes):
            bases = (word_base(word, "techniques", grammar) for word in note.techniques)
            used.update(base.iri for base in bases if base is not None)

    for rule in lexicon.rules:
        if rule.curated:
            for notation in lexicon._of_rule(rule, rule.tree):
                take(notation)
    usual = {
        term.role: frozenset(base.name for base in grammar.alphabet.matching(term))
        for rule in lexicon.rules
        if rule.curated
        for term in terms(rule.tree)
    }
    for rule in lexicon.rules:
        for term in dict.fromkeys(terms(rule.tree)):
            for base in grammar.alphabet.matching(term) if term.role != "unit" else ():
                if base.iri not in used:
                    found = lexicon.first_with(rule, term.role, base.name, usual)
                    if found is not None:
                        take(found)
    return iter(chosen)


def condition(where: Mapping[str, str], grammar: Grammar) -> Callable[[Notation], bool]:
    """A test for conditions such as ``{"finger": "大", "technique": "勾"}``.

    Values are words of the graph; strings and hui also take Arabic numbers (``hui`` a written position such as 七九).

    Raises:
        UsageError: an unknown key, or a value no notation can have.
    """
    tests = [_test(key, value) for key, value in Lexicon(grammar).settle(where).items()]
    return lambda notation: all(test(notation) for test in tests)


def _test(key: str, value: Any) -> Callable[[Notation], bool]:
    """Whether a notation, or one of its notes, has ``value``; a rule is chosen beforehand, not tested."""
    if key == "rule":
        return lambda notation: True
    if key == "form":
        return lambda notation: notation.form == value
    tests: dict[str, Callable[[Note], bool]] = {
        "finger": lambda note: note.left_finger == value,
        "tone": lambda note: note.tone == value,
        "sound": lambda note: note.sound == value,
        "hui": lambda note: note.position == value,
        "string": lambda note: value in note.strings,
        "ornament": lambda note: value in note.ornaments,
        "technique": lambda note: value in note.techniques,
    }
    test = tests[key]
    return lambda notation: any(test(note) for note in (notation, *notation.notes))


def _rank(value: Any) -> tuple[int, ...]:
    """Numbers and places in their order, whole hui first; words stay as the rules have them."""
    if isinstance(value, Position):
        return int(value.hui is not None and bool(value.fen or value.sign)), value.hui or 99, value.fen or 99
    return (value,) if isinstance(value, int) else ()


def _captures(node: Node) -> Iterator[Capture]:
    """The slots of ``node``, from left to right."""
    if isinstance(node, Capture):
        yield node
    elif isinstance(node, Seq | Alt):
        for item in node.items:
            yield from _captures(item)
    elif not isinstance(node, Term):
        yield from _captures(node.item)


def _notes(node: Node) -> int:
    """How many notes of their own ``node`` holds (alternatives hold equally many)."""
    if isinstance(node, Sub):
        return 1
    if isinstance(node, Seq):
        return sum(_notes(item) for item in node.items)
    if isinstance(node, Alt):
        return max(_notes(item) for item in node.items)
    return _notes(node.item) if isinstance(node, Capture | Rep) else 0


def _only_units(node: Node) -> bool:
    return all(term.role == "unit" for term in terms(node))


def _occurrences(node: Node, role: str) -> int:
    """How often a word of ``role`` can be read, alternatives counted once."""
    if isinstance(node, Term):
        return int(node.role == role)
    if isinstance(node, Seq):
        return sum(_occurrences(item, role) for item in node.items)
    if isinstance(node, Alt):
        return max(_occurrences(item, role) for item in node.items)
    if isinstance(node, Rep):
        return _occurrences(node.item, role) * node.high
    return _occurrences(node.item, role)

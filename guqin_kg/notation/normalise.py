"""From what people type to one alphabet: variants folded, words made single signs.

Everything here is read from the graph: names, traditional names, full names and other spellings of the base
notations, and the digits. A word of several characters becomes one sign of the private-use area, so that patterns are
character classes and the rule *whole words first* holds by construction.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from guqin_kg.inventory import BaseNotation, Inventory
from guqin_kg.notation.pattern import Term, trie_regex

PRIVATE = 0xE000
NUMBER_ROLES = frozenset({"hui", "fen", "string"})
SKIP_ROLES = frozenset({"component", "phrase"})  # parts of forms; phrases are read word by word
MAX_LENGTH = 96
_PUNCTUATION = "。，、；,.;"  # at the end of a reading it parts notations; alone it can be a mark
_ARABIC = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Coded:
    """A reading as the grammar sees it.

    Attributes:
        text: one character per word.
        spelled: name of a base notation -> the spelling used, for spellings the graph wants kept.
    """

    text: str
    spelled: dict[str, str]


class Alphabet:
    """Spellings of the graph's words, and the way from a typed reading to coded text and back."""

    def __init__(self, inventory: Inventory) -> None:
        self.bases = tuple(b for b in inventory.bases if b.roles - SKIP_ROLES)
        self.digits = _digits(inventory)
        self._fold = self._char_folds(inventory)
        self._matching: dict[Term, list[BaseNotation]] = {}
        self._words(inventory)

    # -- building -------------------------------------------------------------------------------------------------

    def _char_folds(self, inventory: Inventory) -> dict[int, str | None]:
        names = {b.name for b in self.bases}
        known = {char for name in names for char in name}
        fold: dict[int, str | None] = {}
        for base in inventory.bases:
            if len(base.traditional) == len(base.name):
                for old, new in zip(base.traditional, base.name, strict=True):
                    if old != new and old not in known:
                        fold.setdefault(ord(old), new)
        for base in self.bases:
            for alias in base.aliases:
                if len(alias) == 1 and len(base.name) == 1 and alias not in known:
                    fold.setdefault(ord(alias), base.name)
        return fold

    def _words(self, inventory: Inventory) -> None:
        name_of: dict[str, str] = {}
        self.kept: dict[str, str] = {}
        fold = self.fold_chars
        for base in self.bases:
            name_of[fold(base.name)] = base.name
        for base in self.bases:
            if base.roles & NUMBER_ROLES or "unit" in base.roles:
                spellings: tuple[str, ...] = tuple(a for a in base.aliases if "unit" in base.roles)
            else:
                spellings = (base.full_name, base.traditional, *base.aliases, *base.extra.get("keptSpelling", ()))
            for spelling in spellings:
                if name_of.setdefault(fold(spelling), base.name) == base.name and spelling in base.extra.get(
                    "keptSpelling", ()
                ):
                    self.kept[fold(spelling)] = base.name
        unwritten = {b.full_name for b in self.bases if b.extra.get("unwrittenWhenFull") == ("true",)}
        self._code: dict[str, str] = {}
        self._name: dict[str, str] = {}
        self.many: dict[str, str] = {}
        for spelling in sorted(name_of):
            name = name_of[spelling]
            if name not in self._code:
                plain = fold(name)
                number = all(char in self.digits for char in plain)
                sign = plain if len(plain) == 1 or number else chr(PRIVATE + len(self.many))
                self._code[name] = sign
                self._name[sign] = name
                if len(sign) == 1 and len(plain) > 1:
                    self.many[sign] = name
        self._multi = {s: self._code[n] for s, n in name_of.items() if self._code[n] != s}
        self._multi.update({fold(word): "" for word in unwritten})
        numbers = [fold(b.name) for b in self.bases if b.roles & NUMBER_ROLES and len(b.name) > 1]
        self._multi.update({word: word for word in numbers})
        half = tuple(fold(b.name) for b in self.bases if b.position_effect == "half")
        guarded = [w for w in self._multi if half and w.startswith(half)]
        free = trie_regex([w for w in self._multi if w not in guarded])
        behind = re.escape(self.points)
        self._find = re.compile(
            "|".join(
                part for part in (free, f"(?<!{behind})(?:{trie_regex(guarded)})" if guarded and behind else "") if part
            )
            or r"(?!)"
        )
        self.word_heads = frozenset(w[0] for w in self._multi if w[0] in self.digits or w[0] in half)
        self._find_greedy = re.compile(trie_regex(sorted(self._multi)) or r"(?!)")
        self.signs = frozenset(self._name) | {char for w in name_of for char in w if char in self.digits}
        self.spellings = frozenset(name_of)

    # -- use ------------------------------------------------------------------------------------------------------

    def fold_chars(self, text: str) -> str:
        """Fold character variants one by one; the length stays."""
        return text.translate(self._fold)

    def fold(self, text: str) -> str:
        """Width, spaces, Arabic numbers and character variants."""
        if not text.isalpha() or not text.isprintable():
            text = unicodedata.normalize("NFKC", text)
            text = "".join(text.split())
            text = text[:1] + text[1:].rstrip(_PUNCTUATION)
            if not text.isalpha():
                text = _ARABIC.sub(self._number, text)
        return text.translate(self._fold)

    def code(self, folded: str, *, greedy: bool = False) -> Coded:
        """Words of several characters become one sign each, the longest first.

        A word that begins with the half sign is not looked for right behind the unit of hui, where the sign belongs to
        the position, unless ``greedy``.
        """
        spelled: dict[str, str] = {}

        def sign(found: re.Match[str]) -> str:
            word = found[0]
            if word in self.kept:
                spelled[self.kept[word]] = word
            return self._multi[word]

        return Coded((self._find_greedy if greedy else self._find).sub(sign, folded), spelled)

    def decode(self, coded: str) -> str:
        """Coded text back to reading words."""
        return "".join(self._name.get(char, char) for char in coded)

    def sign_of(self, name: str) -> str:
        """The coded sign (for numbers: digits) of a reading word."""
        return self._code[name]

    def name_of(self, sign: str) -> str | None:
        """The reading word of a coded sign, or None."""
        return self._name.get(sign)

    def matching(self, term: Term) -> list[BaseNotation]:
        """The base notations a term of a pattern stands for."""
        found = self._matching.get(term)
        if found is None:
            found = [
                base
                for base in self.bases
                if term.role in base.roles
                and (not term.numbers or base.number in term.numbers)
                and (not term.names or base.name in term.names or base.position_effect in term.names)
                and base.name not in term.excluded
                and not base.roles & term.excluded
                and (term.max_strings is None or base.max_strings == term.max_strings)
            ]
            found.sort(key=lambda base: (base.number is None, base.number or 0, base.id))
            self._matching[term] = found
        return found

    def _number(self, found: re.Match[str]) -> str:
        """A number in Arabic digits: behind a technique string numbers one by one, else a position."""
        whole, _, tenth = found[0].partition(".")
        if tenth and self.points:
            return self.spell_number(whole) + self.points + self.spell_number(tenth)
        if found.start() and self.fold_chars(found.string[found.start() - 1]) in self._string_heads:
            return "".join(self.spell_number(digit) for digit in whole)
        return self.spell_number(whole)

    @cached_property
    def _string_heads(self) -> frozenset[str]:
        """Last characters of the words that string numbers follow."""
        roles = {"stroke", "figure", "run", "pinch"}
        return frozenset(base.name[-1] for base in self.bases if base.roles & roles)

    @cached_property
    def points(self) -> str:
        """The word that parts hui and fen in a decimal number (that of the unit of hui)."""
        return next((b.name for b in self.bases if "unit" in b.roles and b.extra.get("decimalPoint")), "")

    def spell_number(self, digits: str) -> str:
        """Arabic digits as the graph's digits: 10 to 19 as one number of hui, anything else digit by digit.

        A hui that does not exist (14 to 19) keeps its unit, so that it is not taken for hui 10 and fen.
        """
        by_number = {number: char for char, number in self.digits.items()}
        value = int(digits)
        if 10 <= value <= 19 and 10 in by_number:
            spelled = by_number[10] + (by_number[value - 10] if value > 10 else "")
            exists = any("hui" in base.roles and base.number == value for base in self.bases)
            return spelled if exists else spelled + self.points
        return "".join(by_number.get(int(d), d) for d in digits)


def _digits(inventory: Inventory) -> dict[str, int]:
    """Single-character number words of the graph, with their value."""
    return {
        base.name: base.number
        for base in inventory.bases
        if base.number is not None and len(base.name) == 1 and base.roles & NUMBER_ROLES
    }

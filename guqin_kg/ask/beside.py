"""What stands directly beside a piece that a question seems to name, and would make it say something else.

A sentence has no marks between words and notation, so a piece is looked for that can be read. Where numbers, fingers or
tones adjoin it that could not be read with it, the whole is what was meant, and the piece alone would be an answer to
another question. What speech puts beside a notation (:mod:`guqin_kg.ask.speech`) does not count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from guqin_kg.ask.speech import Speech
from guqin_kg.notation.normalise import NUMBER_ROLES

PLUCKED = frozenset({"stroke", "figure", "run", "pinch"})
"""Grammar roles of the words that string numbers follow."""
HAND = frozenset({"finger", "tone"})
"""Grammar roles of the words that a note begins with."""
_NUMBER = NUMBER_ROLES | {"unit"}
_KINDS = _NUMBER | HAND | PLUCKED
_ARABIC = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class Piece:
    """A piece of a question.

    Attributes:
        start: its first character.
        end: behind its last.
        read: whether it is a reading (else the name of a base notation).
        strings: whether it says which strings sound.
    """

    start: int
    end: int
    read: bool = False
    strings: bool = False


class Beside:
    """Looks beside pieces of one question.

    Args:
        text: the question.
        free: for each character whether it is a sign of the notation that nothing has taken.
        roles: spelling of a word of the notation -> what it can be.
        speech: what of the language is written with signs of the notation.
    """

    def __init__(self, text: str, free: Sequence[bool], roles: Mapping[str, frozenset[str]], speech: Speech) -> None:
        self.text = text
        self.free = free
        self.roles = roles
        self.speech = speech
        self._longest = max(map(len, roles), default=1)

    def whole(self, piece: Piece) -> tuple[int, int]:
        """The piece with all that belongs to it.

        Returns:
            Start and end: those of the piece where nothing beside it changes what it says.
        """
        start, end = self._left(piece), self._right(piece)
        if start < piece.start and not piece.read:
            end = self._chain_right(piece.end)  # the name of a number: the note goes on behind it
        return start, end

    def number(self, piece: Piece) -> bool:
        """Whether a piece is the name of a number alone."""
        own = self._roles(self.text[piece.start : piece.end])
        return not piece.read and bool(own & _NUMBER) and not own & PLUCKED

    def plucked(self) -> list[Piece]:
        """Words of the right hand that nothing has taken and speech does not use."""
        out, at = [], 0
        while at < len(self.text):
            word = self._word_at(at)
            if word and self._roles(word) & PLUCKED and word not in self.speech.before:
                out.append(Piece(at, at + len(word)))
            at += max(len(word), 1)
        return out

    # -- words -----------------------------------------------------------------------------------------------------

    def _roles(self, word: str) -> frozenset[str]:
        return NUMBER_ROLES if _ARABIC.fullmatch(word) else self.roles.get(word, frozenset()) & _KINDS

    def _word_at(self, at: int) -> str:
        """The longest word of the notation that begins here, or nothing."""
        for end in range(min(at + self._longest, len(self.text)), at, -1):
            if all(self.free[at:end]) and self._roles(self.text[at:end]):
                return self.text[at:end]
        return ""

    def _word_before(self, at: int) -> str:
        for start in range(max(at - self._longest, 0), at):
            if all(self.free[start:at]) and self._roles(self.text[start:at]):
                return self.text[start:at]
        return ""

    def _gap(self, at: int, step: int) -> int:
        """``at`` moved over spaces within a notation."""
        while 0 <= (here := at if step > 0 else at - 1) < len(self.text) and self.free[here] and self.text[here] == " ":
            at += step
        return at

    def _counted(self, at: int) -> bool:
        """Whether the number that begins here counts what is named behind it."""
        while (word := self._word_at(at)) and self._roles(word) & _NUMBER:
            at += len(word)
        return self.text.startswith(self.speech.counted, at)

    def _spoken(self, word: str, at: int) -> bool:
        """Whether speech may put the ``word`` that begins here behind a notation."""
        behind = self.speech.behind
        return word in behind or self.text.startswith(tuple(b for b in behind if len(b) > 1), at)

    def _chain_left(self, at: int) -> int:
        """Where the words of the notation begin that end here."""
        start = at
        while (word := self._word_before(at := self._gap(at, -1))) and word not in self.speech.before:
            start = at = at - len(word)
        return start

    def _chain_right(self, at: int) -> int:
        """Where the words of the notation end that begin here."""
        end = at
        while (word := self._word_at(at := self._gap(at, 1))) and not self._spoken(word, at):
            end = at = at + len(word)
        return end

    # -- what belongs to a piece -----------------------------------------------------------------------------------

    def _left(self, piece: Piece) -> int:
        """Where what the piece belongs to begins."""
        at = self._gap(piece.start, -1)
        word = self._word_before(at)
        roles = self._roles(word)
        if not word or word in self.speech.before:
            return piece.start
        if piece.read:
            binds = self._leads(roles, piece, at)
        elif self._roles(self.text[piece.start : piece.end]) & PLUCKED:
            numbers = roles & _NUMBER and self._all_numbers(self._chain_left(at), at)
            binds = len(word) == 1 if roles & HAND else bool(roles & _NUMBER) and not numbers
        else:
            binds = self.number(piece) and bool(roles & _NUMBER)
        return self._chain_left(at) if binds else piece.start

    def _leads(self, roles: frozenset[str], piece: Piece, at: int) -> bool:
        """Whether a word of ``roles`` that ends at ``at`` belongs to the reading behind it."""
        first = self._first(piece)
        if not roles & (_NUMBER | HAND):
            return bool(first & _NUMBER)  # they are its strings, not a position
        # a number behind an ordinary word, before what begins a notation: an ordinal, a figure, an example
        start = self._chain_left(at)
        label = first & HAND and (at < piece.start or self.text[:start][-1:].isalpha())
        return not (label and self._all_numbers(start, at))

    def _first(self, piece: Piece) -> frozenset[str]:
        """What the piece begins with."""
        ends = range(piece.end, piece.start, -1)
        return next((r for end in ends if (r := self._roles(self.text[piece.start : end]))), frozenset())

    def _all_numbers(self, start: int, end: int) -> bool:
        """Whether numbers and their units alone stand there."""
        while start < end:
            word = self._word_at(start)
            if not self._roles(word) & _NUMBER:
                return False
            start += len(word)
        return True

    def _right(self, piece: Piece) -> int:
        """Where what the piece belongs to ends."""
        if not piece.read and not self._roles(self.text[piece.start : piece.end]) & PLUCKED:
            return piece.end
        complete = piece.strings or not piece.read
        at = piece.end if complete else self._gap(piece.end, 1)
        word = self._word_at(at)
        roles = self._roles(word)
        if not word or self._spoken(word, at):
            return piece.end
        if roles & _NUMBER:
            # a unit alone means nothing; a number may count what is named behind it, unless strings are missing
            binds = bool(roles & NUMBER_ROLES) and not (complete and self._counted(at))
        elif roles & HAND and len(word) == 1:
            number = self._roles(self._word_at(at + 1)) & NUMBER_ROLES
            binds = not self._counted(at + 1) if number else piece.read
        else:
            binds = False
        return self._chain_right(at) if binds else piece.end

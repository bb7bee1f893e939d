"""Words of ordinary speech that share signs with the notation, read from a list beside this module."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from functools import cache
from importlib import resources

_LIST = "speech.zh.txt"
_COMMENT = re.compile(r"^#.*\n", re.MULTILINE)
_SECTION = re.compile(r"\[(\w+)\]\n([^\[]*)")


@dataclass(frozen=True)
class Speech:
    """What of a question is speech although it is written with signs of the notation.

    Attributes:
        words: whole words of which no sign is read as notation.
        before: what speech puts directly before a notation.
        behind: what speech puts directly behind one.
        counted: characters that may follow a number which counts something.
        each: those of them that follow no other number.
    """

    words: frozenset[str]
    before: tuple[str, ...]
    behind: tuple[str, ...]
    counted: tuple[str, ...]
    each: tuple[str, ...]

    def places(self, text: str, signs: Container[str]) -> list[bool]:
        """Where ``text`` is speech.

        Args:
            text: a question.
            signs: characters of the notation. A word made of them alone may be part of a notation that began before
                it, so it counts only where none stands before it.

        Returns:
            For each character whether it belongs to one of the ``words``.
        """
        out = [False] * len(text)
        for word in self.words:
            alone = all(char in signs for char in word)
            for found in re.finditer(re.escape(word), text):
                start, end = found.span()
                if not (alone and start and text[start - 1] in signs):
                    out[start:end] = [True] * len(word)
        return out


@cache
def speech() -> Speech:
    """The list; Chinese whatever the language of the question, since no other script shares its signs.

    Returns:
        Its parts.
    """
    text = _COMMENT.sub("", (resources.files("guqin_kg.ask") / _LIST).read_text("utf-8"))
    found = {name: tuple(body.split()) for name, body in _SECTION.findall(text)}
    return Speech(frozenset(found["words"]), found["before"], found["behind"], found["counted"], found["each"])

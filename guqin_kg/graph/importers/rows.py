"""Readers of the published formats: each gives rows of (line, text, reading, file) or a problem."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import DataError
from guqin_kg.graph.sources import read_bytes
from guqin_kg.inventory import GQ, BaseNotation, Inventory

if TYPE_CHECKING:
    from guqin_kg.notation.grammar import Grammar


@dataclass(frozen=True)
class Row:
    """One row of a file.

    Attributes:
        line: 1-based line.
        text: what the row says, for messages.
        reading: the reading, or None where the row says that it has none.
        file: the picture it belongs to, if any.
        problem: why there is no reading.
    """

    line: int
    text: str
    reading: str | None = None
    file: str | None = None
    problem: tuple[str, str] | None = None


def _lines(path: Path, max_bytes: int) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; bytes that are no UTF-8 spoil their own line only."""
    try:
        data = read_bytes(path, max_bytes)
    except DataError as error:
        if error.code != "not-utf8":
            raise
        data = path.read_bytes()
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        yield number, raw.decode("utf-8", errors="replace")


def _spoiled(line: int, text: str) -> Row | None:
    return Row(line, text, problem=("not-utf8", "not valid UTF-8")) if "\ufffd" in text else None


def names(path: Path, grammar: Grammar, max_bytes: int) -> Iterator[Row]:
    """One reading a line; an index and a tab before it are allowed, empty lines and # comments are skipped."""
    for number, line in _lines(path, max_bytes):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        yield _spoiled(number, text) or Row(number, text, text.rsplit("\t", 1)[-1].strip())


def crops(path: Path, grammar: Grammar, max_bytes: int) -> Iterator[Row]:
    """JSON lines with ``file`` and ``reading`` (null: the row has no reading)."""
    for number, line in _lines(path, max_bytes):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except ValueError as error:
            yield Row(number, line[:60], problem=("not-json", f"not JSON: {error}"))
            continue
        if not isinstance(data, dict) or "reading" not in data or not isinstance(data.get("file"), str):
            yield Row(number, line[:60], problem=("fields", 'an object with "file" and "reading" is wanted'))
            continue
        reading = data["reading"]
        if reading is not None and not isinstance(reading, str):
            yield Row(number, line[:60], problem=("fields", "the reading must be text or null"))
            continue
        yield Row(number, reading or data["file"], reading, data["file"])


_OPERATORS = {
    "⿰": 2,
    "⿱": 2,
    "⿲": 3,
    "⿳": 3,
    "⿴": 2,
    "⿵": 2,
    "⿶": 2,
    "⿷": 2,
    "⿸": 2,
    "⿹": 2,
    "⿺": 2,
    "⿻": 2,
}
_SURROUND = frozenset("⿴⿵⿶⿷⿸⿹⿺")


def jzpnet(path: Path, grammar: Grammar, max_bytes: int) -> Iterator[Row]:
    """``metadata_3.txt``: id, token list in prefix order, width, height, separated by tabs."""
    tokens = Tokens(grammar.inventory)
    for number, line in _lines(path, max_bytes):
        text = line.strip("\r\n")
        if not text.strip():
            continue
        cells = text.split("\t")
        if number == 1 and len(cells) > 1 and cells[1].strip().lower() in ("text", "label"):
            continue
        if len(cells) < 2:
            yield Row(
                number, text[:60], problem=("fields", "id, tokens, width and height separated by tabs are wanted")
            )
            continue
        try:
            listed = ast.literal_eval(cells[1].strip())
            if not isinstance(listed, list) or not all(isinstance(t, str | int) for t in listed):
                raise ValueError("no list of tokens")
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            yield Row(number, text[:60], problem=("tokens", "the second field is no list of tokens"))
            continue
        words = [str(t) for t in listed]
        shown = " ".join(words)
        try:
            yield Row(number, shown, tokens.reading(words), cells[0].strip())
        except DataError as error:
            yield Row(number, shown, None, cells[0].strip(), (error.code, error.message))


class Tokens:
    """The graph's token map: which sign a published token means, by where it stands."""

    _LEAD = "Music"

    def __init__(self, inventory: Inventory) -> None:
        self.plain = self._table(inventory, "jzpnetToken")
        self.beside = self._table(inventory, "jzpnetTokenBesideFinger")
        self.as_finger = self._table(inventory, "jzpnetTokenAsFinger")
        self.on_top = self._table(inventory, "jzpnetTokenOnTop")
        self.numbers = {str(b.number): b.name for b in inventory.by_role("hui") if b.number}

    @staticmethod
    def _table(inventory: Inventory, term: str) -> dict[str, BaseNotation]:
        view = inventory.view
        return {t: b for b in inventory.bases for t in view.values(b.iri, GQ + term)}

    def reading(self, tokens: list[str]) -> str:
        """The reading of a token list.

        Raises:
            DataError: an unknown token (``unknown-token``), a broken tree (``broken-tree``), or nothing (``empty``).
        """
        if tokens and tokens[0] == self._LEAD:
            tokens = tokens[1:]
        if not tokens:
            raise DataError("no tokens", code="empty")
        at, words = 0, []
        previous: BaseNotation | None = None
        while at < len(tokens):
            if tokens[at] in _OPERATORS:
                tree, at = self._tree(tokens, at, 0)
                words.append(self._words(tree))
                previous = None
            else:
                after_move = previous is not None and "move" in previous.roles
                base = self.beside.get(tokens[at]) if after_move else None
                base = base or self.plain.get(tokens[at])
                words.append(base.name if base else self._word(tokens[at]))
                previous = base if base else previous
                at += 1
        return "".join(words)

    def _tree(self, tokens: list[str], at: int, depth: int) -> tuple[Any, int]:
        if at >= len(tokens):
            raise DataError("the tree of signs ends too early", code="broken-tree")
        if depth > 40:
            raise DataError("the tree of signs is too deep", code="broken-tree")
        token = tokens[at]
        if token not in _OPERATORS:
            return token, at + 1
        children, next_at = [], at + 1
        for _ in range(_OPERATORS[token]):
            child, next_at = self._tree(tokens, next_at, depth + 1)
            children.append(child)
        return (token, children), next_at

    def _words(self, tree: Any, *, top: bool = True) -> str:
        if isinstance(tree, str):
            return self._word(tree)
        operator, children = tree
        if operator == "⿲" and isinstance(children[1], str) and self._has_role(children[1], "pinch"):
            children = [children[1], children[0], children[2]]
        out = []
        if operator in _SURROUND and isinstance(children[0], str) and isinstance(children[1], tuple):
            inner = children[1][1]
            if isinstance(inner[0], str) and self._has_role(inner[0], "tone"):  # drawn inside, read first
                return self._words((operator, [inner[0], children[0], *inner[1:]]), top=False)
        for index, child in enumerate(children):
            if isinstance(child, str):
                base = None
                if operator == "⿰" and index == 0:
                    base = self.as_finger.get(child)
                elif operator == "⿰" and index == 1 and self._is_finger(children[0]):
                    base = self.beside.get(child)
                elif top and index == 0 and operator in ("⿱", "⿳"):
                    base = self.on_top.get(child)
                out.append(base.name if base else self._word(child))
            else:
                out.append(self._words(child, top=False))
        return "".join(out)

    def _has_role(self, token: str, role: str) -> bool:
        base = self.plain.get(token)
        return base is not None and role in base.roles

    def _is_finger(self, token: Any) -> bool:
        base = self.plain.get(token) or self.as_finger.get(token) if isinstance(token, str) else None
        return base is not None and "finger" in base.roles

    def _word(self, token: str) -> str:
        base = self.plain.get(token)
        if base is not None:
            return base.name
        if token in self.numbers:
            return self.numbers[token]
        known = bool(re.fullmatch(r"[A-Z]+(?:_[A-Z0-9]+)+|[0-9]+", token))
        raise DataError(
            f"the graph maps no sign to the token {token!r}",
            code="unknown-token",
            hint="state it: gqr:… gq:jzpnetToken" if known else None,
        )


READERS: dict[str, Callable[[Path, Grammar, int], Iterator[Row]]] = {"names": names, "crops": crops, "jzpnet": jzpnet}

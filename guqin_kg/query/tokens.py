"""SPARQL as tokens: enough to know what a query is, what it asks for, and where its parameters stand.

This is not a parser; the engines parse.  It recognises exactly the terminals in which a word could hide (IRIs, strings,
comments, prefixed names, variables, language tags), so that every bare word left over is a SPARQL keyword.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from guqin_kg.errors import DataError, LimitError, UnsafeInputError

Kind = Literal["select", "ask", "construct", "describe"]

KINDS: tuple[Kind, ...] = ("select", "ask", "construct", "describe")
#: Keywords of the language that reach outside the graph or write to it.
REFUSED = {
    "SERVICE": "asks another server",
    "FROM": "loads another document",
    "LOAD": "loads another document",
    "INSERT": "changes the graph",
    "DELETE": "changes the graph",
    "CLEAR": "changes the graph",
    "DROP": "changes the graph",
    "CREATE": "changes the graph",
    "COPY": "changes the graph",
    "MOVE": "changes the graph",
    "ADD": "changes the graph",
    "WITH": "changes the graph",
    "USING": "changes the graph",
}
MAX_QUERY_CHARACTERS = 1_000_000

_ESCAPE = r"\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}"
_TOKEN = re.compile(
    rf"""
    (?P<iri><(?:[^<>"{{}}|^`\\\x00-\x20]|{_ESCAPE})*>)
  | (?P<string>\"\"\"(?:(?!\"\"\")(?:[^\\]|\\.))*\"\"\"|'''(?:(?!''')(?:[^\\]|\\.))*'''
      |"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*')
  | (?P<comment>\#[^\n\r]*)
  | (?P<var>[?$]\w+)
  | (?P<lang>@[A-Za-z]+(?:-[A-Za-z0-9]+)*)
  | (?P<blank>_:[\w.\-]+)
  | (?P<pname>(?:[^\W\d_](?:[\w.\-]*[\w\-])?)?:(?:(?:[\w.\-:]|%[0-9A-Fa-f]{{2}}|\\[_~.\-!$&'()*+,;=/?\#@%])*
      (?:[\w\-:]|%[0-9A-Fa-f]{{2}}|\\[_~.\-!$&'()*+,;=/?\#@%]))?)
  | (?P<number>[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)
  | (?P<word>[^\W\d_]\w*)
  | (?P<space>\s+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One terminal: its kind (``word``, ``var``, ``iri`` …), its text and where it starts."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """Index after the last character."""
        return self.start + len(self.text)


def tokens(text: str) -> Iterator[Token]:
    """The terminals of ``text`` without white space and comments."""
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind not in ("space", "comment"):
            yield Token(kind, match.group(), match.start())


def _unescaped(text: str) -> str:
    """``text`` with code point escapes resolved, as some engines do before they parse."""

    def char(match: re.Match[str]) -> str:
        number = int(match.group()[2:], 16)
        return chr(number) if number < 0x110000 else "\ufffd"

    return re.sub(_ESCAPE, char, text)


def line_of(text: str, index: int) -> int:
    """1-based line of the character at ``index``."""
    return text.count("\n", 0, index) + 1


def kind_of(text: str, *, file: object | None = None) -> Kind:
    """What form of query ``text`` is, after checking that it only reads this graph.

    Raises:
        UnsafeInputError: it holds SERVICE, FROM, LOAD or an update.
        LimitError: it is longer than a query ever is.
        DataError: it is no SELECT, ASK, CONSTRUCT or DESCRIBE.
    """
    if len(text) > MAX_QUERY_CHARACTERS:
        raise LimitError(
            f"the query has {len(text):,} characters; the limit is {MAX_QUERY_CHARACTERS:,}",
            code="query-too-long",
            file=file,
            hint="put the values in a graph and join with them",
        )
    found = _scan(text, file)
    if "\\" in text:
        _scan(_unescaped(text), file)
    if found is None:
        raise DataError(
            "no SELECT, ASK, CONSTRUCT or DESCRIBE found",
            code="not-a-query",
            file=file,
            hint="write a SPARQL 1.1 query; the graph is changed with `guqin add`, not with updates",
        )
    return found


def _scan(text: str, file: object | None) -> Kind | None:
    form: Kind | None = None
    for token in tokens(text):
        if token.kind != "word":
            continue
        word = token.text.upper()
        if word in REFUSED:
            raise UnsafeInputError(
                f"{word} is refused: it {REFUSED[word]}",
                code="refused-keyword",
                file=file,
                line=line_of(text, token.start),
                keyword=word,
                hint="queries here read the local graph only; `guqin import` brings data in, `guqin add` changes it",
            )
        if form is None and word.lower() in KINDS:
            form = word.lower()  # type: ignore[assignment]
    return form


def value_blocks(text: str, names: frozenset[str] | set[str]) -> list[tuple[str, int, int, int]]:
    """Where ``VALUES ?name { … }`` stands for each name in ``names``.

    Returns:
        (name, start of VALUES, index after ``{``, index of ``}``), in order of appearance.
    """
    found = []
    row = list(tokens(text))
    for i, token in enumerate(row[:-2]):
        if token.kind != "word" or token.text.upper() != "VALUES" or row[i + 1].kind != "var":
            continue
        name = row[i + 1].text[1:]
        if name not in names or row[i + 2].text != "{":
            continue
        close = next((t for t in row[i + 3 :] if t.text == "}" and t.kind == "other"), None)
        if close is not None:
            found.append((name, token.start, row[i + 2].end, close.start))
    return found


def variables(text: str) -> set[str]:
    """All variable names of ``text``, without the question mark."""
    return {t.text[1:] for t in tokens(text) if t.kind == "var"}


def has_comment(text: str) -> bool:
    """Whether ``text`` (SPARQL or Turtle) holds a comment."""
    return any(match.lastgroup == "comment" for match in _TOKEN.finditer(text))

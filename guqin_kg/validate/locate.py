"""Where in a Turtle file a resource is described: file and line for the rows of a report.

A small scanner that knows just enough Turtle (IRIs, prefixed names, strings, comments, statement ends) to list the
line on which each subject, and each of its predicates, stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urljoin

_TOKEN = re.compile(
    r'''(?P<space>\s+)|(?P<comment>\#[^\n]*)
    |(?P<string>"""(?:[^"\\]|\\.|"(?!""))*"""|\'\'\'(?:[^'\\]|\\.|'(?!''))*\'\'\'|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<iri><[^<>"{}|^`\s]*>)
    |(?P<at>@[A-Za-z][A-Za-z0-9-]*)
    |(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w:]))
    |(?P<name>(?:[^\W\d_][\w.-]*)?:(?:[\w:%-]|\\.|\.(?=[\w:%\\-]))*)
    |(?P<word>[A-Za-z_][\w:.-]*)
    |(?P<punctuation>\^\^|[.;,\[\]()])
    |(?P<other>.)''',
    re.X | re.S,
)
TYPE = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
Place = tuple[str, int]


def index_turtle(text: str, base: str = "") -> dict[tuple[str, str | None], int]:
    """(subject, predicate) and (subject, None) → 1-based line of the first place; terms as ``<iri>``.

    Args:
        text: the Turtle.
        base: what relative IRIs are resolved against until the text says otherwise.
    """
    prefixes: dict[str, str] = {}
    found: dict[tuple[str, str | None], int] = {}
    line = found_at = 1
    subject: str | None = None
    want = "subject"
    depth = 0
    directive: list[str] | None = None
    for token in _TOKEN.finditer(text):
        kind, piece = token.lastgroup or "other", token.group()
        at, line = line, line + piece.count("\n")
        if kind in ("space", "comment"):
            continue
        if kind == "at" and piece in ("@prefix", "@base") and want == "subject":
            directive = []
        elif kind == "word" and piece.upper() in ("PREFIX", "BASE") and want == "subject":
            directive = ["sparql"]
        elif directive is not None:
            directive.append(piece)
            names = [p for p in directive if p != "sparql"]
            done = piece == "." if directive[0] != "sparql" else kind == "iri"
            if done:
                if len(names) >= 2 and names[0].endswith(":"):
                    prefixes[names[0][:-1]] = _resolved(names[1][1:-1], base)
                elif names and names[0].startswith("<"):
                    base = _resolved(names[0][1:-1], base)
                directive = None
        elif piece in ("[", "("):
            depth += 1
        elif piece in ("]", ")"):
            depth -= 1
        elif depth:
            continue
        elif piece == ".":
            want = "subject"
        elif piece == ";":
            want = "predicate"
        elif want == "subject":
            subject = _term(kind, piece, prefixes, base)
            found_at = at
            want = "predicate"
            if subject:
                found.setdefault((subject, None), at)
        elif want == "predicate":
            predicate = TYPE if piece == "a" else _term(kind, piece, prefixes, base)
            want = "object"
            if subject and predicate:
                found.setdefault((subject, predicate), found_at if predicate == TYPE else at)
    return found


def _resolved(iri: str, base: str) -> str:
    """``iri`` as an absolute one; those that are so already stay as they are written."""
    if not base or _ABSOLUTE.match(iri):
        return iri
    return urljoin(base, iri.rstrip("#")) + ("#" if iri.endswith("#") else "")  # urljoin drops an empty fragment


def _term(kind: str, piece: str, prefixes: Mapping[str, str], base: str) -> str | None:
    if kind == "iri":
        return f"<{_resolved(piece[1:-1], base)}>"
    if kind == "name":
        prefix, _, rest = piece.partition(":")
        if prefix in prefixes:
            return "<" + prefixes[prefix] + re.sub(r"\\(.)", r"\1", rest) + ">"
    return None


_FEW = 200
"""Names to look for in a file before it is indexed; with more of them indexing at once is quicker."""


def index_files(
    paths: Iterable[Path], wanted: set[str], shown: Mapping[Path, str] | None = None
) -> dict[tuple[str, str | None], Place]:
    """(subject, predicate or None) → (file, line) for the subjects in ``wanted``.

    Args:
        paths: Turtle files; others and unreadable ones are passed over. The first file that has a subject wins.
        wanted: subjects as ``<iri>``.
        shown: how to name a file in the report.
    """
    out: dict[tuple[str, str | None], Place] = {}
    tails = {re.split(r"[/#]", w[1:-1])[-1] for w in wanted}
    for path in paths:
        if path.suffix != ".ttl":
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if len(tails) <= _FEW and not any(tail in text for tail in tails):
            continue
        name = (shown or {}).get(path, str(path))
        for key, line in index_turtle(text).items():
            if key[0] in wanted:
                out.setdefault(key, (name, line))
    for subject in wanted:  # the block that says what it is, not the first that mentions it
        if (subject, TYPE) in out:
            out[(subject, None)] = out[(subject, TYPE)]
    return out

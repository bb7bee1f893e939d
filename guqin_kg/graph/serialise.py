"""Write Turtle the same way every time, so that a save is a small diff.

The ontology is kept by hand and reviewed as text.  ``format_turtle`` is a pure function
of the triples: no clock, no hash order, no blank-node label ends up in its output.
Formatting formatted text changes nothing; changing one value changes one line.

Layout: comments at the head of the file and before a block are kept, then only the prefixes in use, then one
block a subject in natural order (``hui-9`` before ``hui-10``, ``x`` before ``x/form-1``),
one line a value when a predicate has several.  A blank node is written in place, inside
its only user, and an RDF list as ``( … )``; a blank node used twice has no stable place
and is refused.

rdflib's ``longturtle`` with ``canon=True`` is stable too; this writer is used because it
keeps predicates in reading order (name, label, definition first), keeps the comment at the
head of the file, and takes milliseconds where canonicalisation takes seconds.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import GuqinKGError

if TYPE_CHECKING:
    from pyoxigraph import Triple

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XSD = "http://www.w3.org/2001/XMLSchema#"

#: Predicates in the order a reader wants them; all others follow by name.
FIRST_PREDICATES = (
    "rdf:type",
    "owl:versionIRI",
    "owl:versionInfo",
    "gq:code",
    "gq:notationName",
    "gq:traditionalName",
    "gq:fullName",
    "gq:alias",
    "rdfs:label",
    "skos:prefLabel",
    "skos:altLabel",
    "gq:pinyin",
    "gq:number",
    "skos:definition",
    "rdfs:comment",
    "rdfs:subClassOf",
    "rdfs:subPropertyOf",
    "rdfs:domain",
    "rdfs:range",
    "gq:hand",
    "gq:finger",
    "gq:direction",
    "gq:stepIndex",
    "gq:stepTechnique",
)
#: Predicates that close a block.
LAST_PREDICATES = ("gq:confidence", "dct:source", "skos:note", "rdfs:isDefinedBy")

_LOCAL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_\-./~]*[A-Za-z0-9_\-~])?\Z")
_NUMBER = {
    XSD + "integer": re.compile(r"[+-]?[0-9]+\Z"),
    XSD + "decimal": re.compile(r"[+-]?[0-9]*\.[0-9]+\Z"),
    XSD + "boolean": re.compile(r"(?:true|false)\Z"),
}
_LONG_STRING = re.compile(r'"{3}(?:[^"\\]|\\.|"(?!""))*"{3}', re.DOTALL)
_PREFIX_LINE = re.compile(r"@?prefix\s+([\w-]*):\s*<([^>]*)>", re.IGNORECASE)
_WIDTH = 100


class UnstableGraphError(GuqinKGError):
    """The triples have no canonical text (a blank node with several users or in a cycle)."""


def natural_key(text: str) -> tuple[Any, ...]:
    """Sort key in which ``hui-9`` comes before ``hui-10``."""
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"([0-9]+)", text))


def head_comment(text: str) -> str:
    """Return the comment lines at the very top of a Turtle file, without a trailing newline."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.rstrip())
    return "\n".join(lines)


def block_comments(text: str, prefixes: Mapping[str, str]) -> dict[str, str]:
    """Return the comments that stand before a block, by the IRI of the block's subject.

    Only lines that begin with ``#`` count; a comment inside a block has no stable place and is not kept.
    """
    out: dict[str, str] = {}
    body = _LONG_STRING.sub('""', text[len(head_comment(text)) :])
    waiting: list[str] = []
    for line in body.splitlines():
        if line.startswith("#"):
            waiting.append(line.rstrip())
        elif waiting and line.strip() and not _PREFIX_LINE.match(line):
            token = line.split()[0]
            name, colon, rest = token.partition(":")
            if token.startswith("<"):
                iri = token.strip("<>")
            elif colon and name in prefixes:
                iri = prefixes[name] + rest.replace("\\", "")
            else:
                continue
            out[iri] = "\n".join(waiting)
            waiting = []
    return out


def prefixes_of(text: str) -> dict[str, str]:
    """Return the prefixes a Turtle text declares, as prefix -> namespace."""
    return dict(_PREFIX_LINE.findall(text))


class _Writer:
    """One graph on its way to text; holds the index and the prefixes that were used."""

    def __init__(self, triples: Iterable[Triple], prefixes: Mapping[str, str]) -> None:
        from pyoxigraph import BlankNode

        self.blank = BlankNode
        self.index: dict[Any, dict[str, set[Any]]] = defaultdict(lambda: defaultdict(set))
        self.uses: dict[Any, int] = defaultdict(int)
        for triple in triples:
            if triple.object not in self.index[triple.subject][triple.predicate.value]:
                self.index[triple.subject][triple.predicate.value].add(triple.object)
                if isinstance(triple.object, BlankNode):
                    self.uses[triple.object] += 1
        # longest namespace first, so that a nested namespace wins
        self.namespaces = sorted(((iri, name) for name, iri in prefixes.items()), key=lambda p: (-len(p[0]), p[1]))
        self.used: set[str] = set()
        self.open: list[Any] = []

    def iri(self, value: str) -> str:
        for namespace, name in self.namespaces:
            if value.startswith(namespace):
                local = value[len(namespace) :]
                if not local or _LOCAL.match(local):
                    self.used.add(name)
                    return f"{name}:{re.sub(r'([/~])', lambda m: chr(92) + m.group(1), local)}"
        return f"<{value}>"

    def literal(self, node: Any) -> str:
        kind = node.datatype.value
        if kind in _NUMBER and _NUMBER[kind].match(node.value):
            return str(node.value)
        text = node.value.replace("\\", "\\\\").replace("\r", "\\r").replace("\t", "\\t")
        if "\n" in text:  # queries and templates stay readable, and an edit of one line is a diff of one line
            text = '"""' + re.sub(r'"(?="|\Z)', r'\\"', text) + '"""'
        else:
            text = '"' + text.replace('"', '\\"') + '"'
        if node.language:
            return f"{text}@{node.language}"
        return text if kind == XSD + "string" else f"{text}^^{self.iri(kind)}"

    def term(self, node: Any, depth: int) -> str:
        from pyoxigraph import Literal

        if isinstance(node, self.blank):
            return self.nested(node, depth)
        return self.literal(node) if isinstance(node, Literal) else self.iri(node.value)

    def nested(self, node: Any, depth: int) -> str:
        if self.uses[node] != 1 or node in self.open:
            raise UnstableGraphError(
                "a blank node with more than one user cannot be written in a stable way",
                code="unstable-blank-node",
                hint="give the node an IRI",
            )
        self.open.append(node)
        items = self.list_items(node, depth)
        if items is not None:
            text = "( " + " ".join(items) + " )" if items else "()"
        else:
            inner = "    " * (depth + 1)
            body = [inner + line for line in self.lines(node, depth + 1)]
            text = "[\n" + " ;\n".join(body) + "\n" + "    " * depth + "]" if body else "[]"
        self.open.pop()
        return text

    def list_items(self, node: Any, depth: int) -> list[str] | None:
        """Return the written members when ``node`` heads a well-formed list, else None."""
        items: list[str] = []
        seen: set[Any] = set()
        while isinstance(node, self.blank):
            cell = self.index.get(node, {})
            if node in seen or set(cell) != {RDF + "first", RDF + "rest"}:
                return None
            if len(cell[RDF + "first"]) != 1 or len(cell[RDF + "rest"]) != 1:
                return None
            seen.add(node)
            items.append(self.term(next(iter(cell[RDF + "first"])), depth))
            node = next(iter(cell[RDF + "rest"]))
        return items if getattr(node, "value", None) == RDF + "nil" else None

    def object_key(self, node: Any, text: str) -> tuple[Any, ...]:
        language = getattr(node, "language", None) or ""
        kind = 2 if isinstance(node, self.blank) else 0 if not text.startswith('"') else 1
        return (kind, language not in ("zh", ""), language, natural_key(text))

    def lines(self, subject: Any, depth: int) -> list[str]:
        """Return one string a predicate (it may span lines), in reading order."""
        rows = []
        for predicate, objects in self.index[subject].items():
            name = "rdf:type" if predicate == RDF + "type" else self.iri(predicate)
            rank = (
                FIRST_PREDICATES.index(name) - 1000
                if name in FIRST_PREDICATES
                else LAST_PREDICATES.index(name) + 1
                if name in LAST_PREDICATES
                else 0
            )
            pairs = [(o, self.term(o, depth)) for o in objects]
            values = [t for _, t in sorted(pairs, key=lambda p: self.object_key(p[0], p[1]))]
            shown = "a" if name == "rdf:type" else name
            one_line = f"{shown} " + " , ".join(values)
            quoted = len(values) > 1 and any(v.startswith('"') and len(v) > 16 for v in values)
            long = len(one_line) > _WIDTH - 4 * depth or quoted
            if len(values) > 1 and long:
                pad = "\n" + "    " * (depth + 1)
                text = shown + pad + f" ,{pad}".join(values)
            else:
                text = one_line
            rows.append(((rank, natural_key(name)), text))
        return [text for _, text in sorted(rows, key=lambda r: r[0])]

    def blocks(self, comments: Mapping[str, str]) -> list[str]:
        named = [s for s in self.index if not isinstance(s, self.blank)]
        loose = [s for s in self.index if isinstance(s, self.blank) and not self.uses[s]]
        if loose:
            raise UnstableGraphError(
                "a blank node stands at the top of the file and has no stable place",
                code="unstable-blank-node",
                hint="give the node an IRI",
            )
        out = []
        for subject in sorted(named, key=lambda s: natural_key(s.value.replace("/", " / "))):
            body = self.lines(subject, 1)
            before = comments[subject.value] + "\n" if subject.value in comments else ""
            out.append(f"{before}{self.iri(subject.value)}\n    " + " ;\n    ".join(body) + " .\n")
        return out


def format_triples(
    triples: Iterable[Triple],
    prefixes: Mapping[str, str],
    *,
    comment: str = "",
    comments: Mapping[str, str] | None = None,
) -> str:
    """Return canonical Turtle for ``triples``.

    Args:
        triples: the statements.
        prefixes: prefix to namespace; only those used are declared.
        comment: the head of the file, each line starting with ``#``.
        comments: the lines before a block, by the IRI of its subject.

    Raises:
        UnstableGraphError: a blank node has no single place to stand.
    """
    writer = _Writer(triples, prefixes)
    blocks = writer.blocks(comments or {})
    table = dict(prefixes)
    declared = [f"@prefix {name}: <{table[name]}> ." for name in sorted(writer.used)]
    parts = [comment.rstrip() + "\n"] if comment.strip() else []
    if declared:
        parts.append("\n".join(declared) + "\n")
    return "\n".join(parts + blocks)


def format_turtle(text: str, prefixes: Mapping[str, str] | None = None) -> str:
    """Return ``text`` (Turtle) in canonical form; formatting twice changes nothing.

    Without ``prefixes`` those the text itself declares are used.  Raises ``SyntaxError``
    with the line when the text is not Turtle.
    """
    from pyoxigraph import RdfFormat, parse

    table = dict(prefixes) if prefixes is not None else prefixes_of(text)
    triples = [q.triple for q in parse(input=text, format=RdfFormat.TURTLE)]
    notes = block_comments(text, prefixes_of(text))
    return format_triples(triples, table, comment=head_comment(text), comments=notes)


def save_turtle(path: Path, text: str, prefixes: Mapping[str, str] | None = None) -> bool:
    """Write ``text`` in canonical form to ``path``; return whether the file changed.

    The new text is written beside the file and moved over it, so a stopped process leaves
    either the old or the new file.
    """
    import os
    import tempfile

    new = format_turtle(text, prefixes)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    if path.exists() and path.read_text(encoding="utf-8") == new:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as out:
            out.write(new)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True

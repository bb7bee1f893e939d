"""A query is a document: SPARQL under a header that says what it asks, takes and returns.

The header is YAML in ``#+`` comment lines at the top of the file (``sparql/README.md`` describes it)::

    #+ question: {zh: 此谱字由哪些部件组成？, en: Of what components is this notation made?}
    #+ params:
    #+   notation: {type: iri, class: gq:CompoundNotation, example: 大九勾四}
    #+ columns: {component: iri, name: text, index: integer?}
    #+ tags: [structure]
    #+ rows: 2..9

Parameters stand in the query as ``VALUES ?notation { … }`` with the example inside, so the file runs as it is in any
SPARQL tool; binding puts other terms between the braces.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from guqin_kg.errors import DataError
from guqin_kg.query import tokens as tk

PARAM_TYPES = ("iri", "text", "integer", "decimal", "boolean")
COLUMN_TYPES = ("iri", "text", "integer", "decimal", "boolean")
LANGUAGES = ("zh", "en")
_KEYS = {"question", "about", "params", "columns", "tags", "rows", "turns", "note"}
_PARAM_KEYS = {"type", "class", "example", "default", "about"}
_NAME = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9-]*?)(?:\.(?P<kind>select|ask|construct|describe)|(?P<check>-violation))\.rq"
)


class QuerySpecError(DataError):
    """A query file does not keep its own contract; names file and line."""

    default_code = "query-header"


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One parameter.

    Attributes:
        name: the variable it binds.
        type: iri, text, integer, decimal or boolean.
        cls: for an iri, the class a reading or a name is looked up in (``gq:CompoundNotation``).
        example: a value with which the query has rows on the released graph.
        optional: left out, the variable stays unbound.
        default: used when nothing is given (None: must be given, or is optional).
    """

    name: str
    type: str
    example: Any
    cls: str | None = None
    optional: bool = False
    default: Any = None
    about: str | None = None


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One column of the answer; ``optional`` means a row may lack it."""

    name: str
    type: str
    optional: bool = False


@dataclass(frozen=True)
class QuerySpec:
    """A library query, read and checked.  Equal files are equal specs."""

    name: str
    kind: tk.Kind
    purpose: str
    question: MappingProxyType[str, str]
    params: tuple[ParamSpec, ...]
    columns: tuple[ColumnSpec, ...]
    tags: tuple[str, ...]
    rows: tuple[int, int | None]
    text: str
    file: str
    check: bool = False
    note: str | None = None

    def param(self, name: str) -> ParamSpec | None:
        """The parameter ``name``, or None."""
        return next((p for p in self.params if p.name == name), None)

    @cached_property
    def digest(self) -> str:
        """blake2b (16 bytes, hex) of header and query: changes when either does."""
        return hashlib.blake2b(self.text.encode(), digest_size=16).hexdigest()


def _fail(message: str, file: Path | str, line: int | None = 1, hint: str | None = None) -> QuerySpecError:
    return QuerySpecError(message, file=file, line=line, hint=hint or "sparql/README.md describes the header")


def _header(text: str, file: Path | str) -> dict[str, Any]:
    import yaml

    lines = text.splitlines()
    head = []
    for line in lines:
        if line.startswith("#+"):
            head.append(line[3:] if line.startswith("#+ ") else line[2:])
        elif line.strip() and not line.startswith("#"):
            break
        else:
            head.append("")
    if not any(part.strip() for part in head):
        raise _fail("the file has no #+ header", file)
    try:
        data = yaml.load("\n".join(head), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise _fail(
            f"the header is not YAML: {getattr(error, 'problem', error)}", file, mark.line + 1 if mark else 1
        ) from None
    if not isinstance(data, dict):
        raise _fail("the header is not a mapping of keys to values", file)
    return data


def _line(text: str, word: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#+") and re.search(rf"(?<![\w-]){re.escape(word)}\s*:", line):
            return number
    return 1


def _params(data: Any, text: str, file: Path | str) -> tuple[ParamSpec, ...]:
    if data is None:
        return ()
    if not isinstance(data, dict):
        raise _fail("params must map a name to {type, example}", file, _line(text, "params"))
    out = []
    for name, entry in data.items():
        line = _line(text, str(name))
        if not isinstance(entry, dict) or not entry.keys() <= _PARAM_KEYS or not {"type", "example"} <= entry.keys():
            raise _fail(f"parameter {name}: give type and example; allowed are {sorted(_PARAM_KEYS)}", file, line)
        kind = str(entry["type"])
        optional = kind.endswith("?")
        kind = kind.rstrip("?")
        if kind not in PARAM_TYPES:
            raise _fail(f"parameter {name}: type {kind!r} is none of {', '.join(PARAM_TYPES)}", file, line)
        if entry.get("class") and kind != "iri":
            raise _fail(f"parameter {name}: only an iri has a class", file, line)
        out.append(
            ParamSpec(
                str(name),
                kind,
                entry["example"],
                entry.get("class"),
                optional,
                entry.get("default"),
                entry.get("about"),
            )
        )
    return tuple(out)


def _columns(data: Any, text: str, file: Path | str) -> tuple[ColumnSpec, ...]:
    if not isinstance(data, dict) or not data:
        raise _fail("columns must map each column to its type", file, _line(text, "columns"))
    out = []
    for name, kind in data.items():
        bare = str(kind).rstrip("?")
        if bare not in COLUMN_TYPES:
            raise _fail(
                f"column {name}: type {kind!r} is none of {', '.join(COLUMN_TYPES)}", file, _line(text, str(name))
            )
        out.append(ColumnSpec(str(name), bare, str(kind).endswith("?")))
    return tuple(out)


def _rows(data: Any, text: str, file: Path | str) -> tuple[int, int | None]:
    match = re.fullmatch(r"(\d+)(?:\.\.(\d*))?", str(data if data is not None else ""))
    if not match:
        raise _fail("rows must be a number or a range such as 1..8 or 1..", file, _line(text, "rows"))
    low = int(match[1])
    high = low if ".." not in str(data) else int(match[2]) if match[2] else None
    return low, high


def _agree(spec: QuerySpec, file: Path | str) -> None:
    """Query and header say the same: kind, parameters, columns."""
    body = spec.text
    names = {p.name for p in spec.params}
    bound = {name for name, *_ in tk.value_blocks(body, names)}
    for name in sorted(names - bound):
        raise _fail(
            f"parameter {name} has no VALUES ?{name} {{ … }} in the query",
            file,
            _line(body, name),
            "write the example between the braces; binding replaces it",
        )
    used = tk.variables(body)
    for column in spec.columns:
        if spec.kind == "select" and column.name not in used:
            raise _fail(f"column {column.name} is not a variable of the query", file, _line(body, column.name))


def read_spec(path: Path, *, purpose: str | None = None) -> QuerySpec:
    """Read and check one query file.

    Raises:
        QuerySpecError: header missing, key unknown, types wrong, header and query disagree; names file and line.
        UnsafeInputError: the query holds SERVICE, FROM or an update.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = path.read_bytes().count(b"\n", 0, error.start) + 1
        raise _fail("the file is not UTF-8", path, line, "save it as UTF-8") from None
    return parse_spec(text, path, purpose=purpose if purpose is not None else path.parent.name)


def parse_spec(text: str, path: Path, *, purpose: str = "") -> QuerySpec:
    """The spec of ``text``; ``path`` gives its name and is named in errors."""
    match = _NAME.fullmatch(path.name)
    if not match:
        raise _fail(
            "a query file is called NAME.select.rq, NAME.ask.rq, NAME.construct.rq, NAME.describe.rq or "
            "NAME-violation.rq, in lower case",
            path,
            None,
        )
    data = _header(text, path)
    for key in data.keys() - _KEYS:
        raise _fail(f"unknown key {key!r} in the header", path, _line(text, str(key)), f"known are {sorted(_KEYS)}")
    question = data.get("question")
    if not isinstance(question, dict) or set(question) != set(LANGUAGES):
        raise _fail("question must be given as {zh: …, en: …}", path, _line(text, "question"))
    kind = tk.kind_of(text, file=path)
    check = bool(match["check"])
    if kind != (match["kind"] or "select"):
        raise _fail(f"the file name says {match['kind'] or 'select'}, the query is a {kind.upper()}", path, None)
    tags = data.get("tags") or []
    if not isinstance(tags, list):
        raise _fail("tags must be a list", path, _line(text, "tags"))
    columns = _columns(data.get("columns"), text, path) if kind == "select" else ()
    rows = _rows(data.get("rows", "0" if check else None) if kind == "select" else data.get("rows", 1), text, path)
    spec = QuerySpec(
        name=match["name"] + (match["check"] or ""),
        kind=kind,
        purpose=purpose,
        question=MappingProxyType({k: str(v) for k, v in question.items()}),
        params=_params(data.get("params"), text, path),
        columns=columns,
        tags=tuple(str(t) for t in tags),
        rows=rows,
        text=text,
        file=str(path),
        check=check,
        note=data.get("note") or data.get("about"),
    )
    _agree(spec, path)
    return spec

"""Reading a score file: CSV with columns, plain text, Turtle with a piece of music; nothing is interpreted here."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from guqin_kg.errors import DataError, LimitError, NotFoundError
from guqin_kg.inventory import GQ, GraphView, read_statements

READING_COLUMNS = ("corrected_reading", "reading", "abbreviated", "full", "raw_reading", "name")
SIDE_COLUMNS = ("side_notes", "side")
SECTION_COLUMNS = ("section", "phrase", "page")
NUMBER_COLUMNS = ("no", "index", "number")
MAX_BYTES = 20_000_000
_TITLE = "http://purl.org/dc/terms/title"
_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a score.

    Attributes:
        line: 1-based line in the file (or position in the graph).
        number: what the file calls it; ``line`` where it has no such column.
        main, sides: readings as written; ``marks`` stand before the main one.
        label: a circled mark or heading, not a reading.
        mode: what the file says holds here (a column such as ``harmonic``).
        jianpu: numbered notation beside it, if any.
    """

    line: int
    number: str
    section: str | None = None
    main: str | None = None
    sides: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    label: str | None = None
    mode: str | None = None
    jianpu: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """A score as written: rows in order, comments of the file, where it comes from, what a graph says of the piece."""

    source: str
    rows: tuple[Row, ...]
    comments: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    tradition: str | None = None
    tuning: str | None = None
    extra: dict[str, str] = field(default_factory=dict)


def read_score(path: Path) -> Score:
    """Read a score file.

    Raises:
        NotFoundError: no such file.
        DataError: not UTF-8, empty, no column with readings.
        LimitError: larger than 20 MB.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}", hint="give a CSV, text or Turtle file, or the IRI of a piece")
    if path.stat().st_size > MAX_BYTES:
        raise LimitError(f"the file is larger than {MAX_BYTES // 1_000_000} MB", file=path, hint="split the score")
    if path.suffix.lower() in (".ttl", ".turtle"):
        return read_music(GraphView(read_statements([path])), None, str(path))
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8 text (byte {error.start})", code="encoding", file=path, hint="save the file as UTF-8"
        ) from None
    return read_text(text, str(path))


def read_text(text: str, source: str = "text") -> Score:
    """Read CSV or plain text; lines that begin with ``#`` are comments.

    Raises:
        DataError: nothing in it, or a table without a column of readings.
    """
    if "\0" in text:
        raise DataError("this is not a text file", code="binary", file=source, hint="give CSV, text or Turtle")
    lines = text.splitlines()
    comments = tuple(line.lstrip("# ").strip() for line in lines if line.startswith("#"))
    body = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not body:
        raise DataError(
            "the score is empty", code="empty", file=source, hint="one reading a line, or CSV with a header"
        )
    header = body[0][1]
    mark = "\t" if "\t" in header else ","
    names = [name.strip().lower() for name in next(csv.reader([header], delimiter=mark))]
    if len(names) > 1 and all(re.fullmatch(r"[a-z_ ]+", name) for name in names):
        if not set(names) & set(READING_COLUMNS):
            raise DataError(
                f"no column holds readings (found: {', '.join(names)})",
                code="no-reading-column",
                file=source,
                line=body[0][0],
                hint=f"name one of them {READING_COLUMNS[1]}",
            )
        return Score(source, tuple(_table(body, names, mark)), comments, tuple(names))
    if len(names) == 1 and names[0] in READING_COLUMNS:
        body = body[1:]
    rows: list[Row] = []
    for number, line in body:
        for word in re.split(r"[\s,，|]+", line.strip()):
            if word:
                rows.append(Row(number, str(len(rows) + 1), main=word))
    return Score(source, tuple(rows), comments)


def _table(body: list[tuple[int, str]], names: list[str], mark: str) -> Iterable[Row]:
    reading = next(name for name in READING_COLUMNS if name in names)
    text = io.StringIO("\n".join(line for _, line in body[1:]))
    numbers = [number for number, _ in body[1:]]
    for line, fields in zip(numbers, csv.reader(text, delimiter=mark), strict=False):
        cells = dict(zip(names, (f.strip() for f in fields), strict=False))

        def first(columns: Iterable[str], cells: dict[str, str] = cells) -> str | None:
            return next((cells[c] for c in columns if cells.get(c)), None)

        main = cells.get(reading) or None
        kind = cells.get("kind", "")
        label = main if kind == "mark" else None
        is_side = kind == "side"
        sides = tuple((first(SIDE_COLUMNS) or "").split())
        yield Row(
            line=line,
            number=first(NUMBER_COLUMNS) or str(line),
            section=first(SECTION_COLUMNS),
            main=None if label or is_side else main,
            sides=(main, *sides) if is_side and main else sides,
            marks=tuple((cells.get("bracket") or "").split()),
            label=label,
            mode=cells.get("mode") or None,
            jianpu=cells.get("jianpu") or None,
        )


def read_music(view: GraphView, iri: str | None, source: str) -> Score:
    """A ``gq:MusicNotation`` of a graph as a score; the only one when ``iri`` is None.

    Raises:
        NotFoundError: no such piece, or several and none named.
        DataError: the piece has no events.
    """
    pieces = view.instances(GQ + "MusicNotation")
    if iri is None:
        if len(pieces) != 1:
            raise NotFoundError(
                f"{len(pieces)} pieces of music in {source}",
                hint="name one: " + ", ".join(pieces[:5]) if pieces else None,
            )
        iri = pieces[0]
    if iri not in pieces:
        raise NotFoundError(
            f"the graph has no piece of music {iri}",
            hint=("it has: " + ", ".join(pieces[:5])) if pieces else "import a score first",
        )
    rows = []
    for event in view.values(iri, GQ + "hasEvent"):
        index = int(view.value(event, GQ + "eventIndex") or 0)
        notation = view.value(event, GQ + "notation")
        name = view.value(event, GQ + "notationName") or (
            view.value(notation, GQ + "notationName") if notation else None
        )
        scope = view.value(event, GQ + "inScope") or ""
        mode = "harmonic" if scope.endswith("HarmonicScope") else None
        rows.append(Row(index, str(index), view.value(event, GQ + "section"), main=name, mode=mode))
    if not rows:
        raise DataError(f"the piece {iri} has no events", code="empty", hint="give it gq:hasEvent statements")
    tradition = view.value(iri, GQ + "tradition")
    for work in () if tradition else view.values(iri, "http://purl.org/dc/terms/source"):
        tradition = tradition or view.value(work, GQ + "tradition")
    code = (view.value(tradition, GQ + "code") or tradition.rsplit("tradition-")[-1]) if tradition else None
    titles = view.by_lang(iri, _TITLE) or view.by_lang(iri, _LABEL)
    return Score(
        source,
        tuple(sorted(rows, key=lambda r: r.line)),
        tuple(titles.values()),
        tradition=code,
        tuning=view.value(iri, GQ + "tuning"),
        extra={"iri": iri},
    )

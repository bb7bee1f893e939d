"""Labelled crops of a book: reading, checking, turning into arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg.errors import DataError, GuqinKGError, NotFoundError, UsageError, decoded
from guqin_kg.recognise.images import fit, load_grey
from guqin_kg.recognise.vocabulary import Vocabulary
from guqin_kg.recognise.words import Words
from training.recogniser.shards import Shard, pack

_LISTED = 40
"""Pages named in a message."""


@dataclass(frozen=True)
class Crop:
    """One labelled picture: where it lies, its canonical reading, its page if known."""

    file: Path
    reading: str
    bases: tuple[str, ...]
    page: Any = None


@dataclass
class Crops:
    """The usable rows of a file, and what was left out and why (``line: reason``)."""

    rows: list[Crop]
    skipped: list[str] = field(default_factory=list)

    def left_out(self) -> str:
        """How many rows were left out, and why the first of them."""
        more = " …" if len(self.skipped) > 5 else ""
        return f"{len(self.skipped)} rows left out: " + "; ".join(self.skipped[:5]) + more

    def where(self, keep: Any) -> Crops:
        """The rows for which ``keep(row)`` is true."""
        return Crops([row for row in self.rows if keep(row)], list(self.skipped))

    def of_pages(self, pages: set[str]) -> Crops:
        """The rows of these pages (as text; blanks around them do not count).

        Raises:
            UsageError: a page has no crop; those that have one are named.
        """
        wanted = {page.strip() for page in pages} - {""}
        there = {str(row.page).strip() for row in self.rows if row.page is not None}
        absent = _in_order(wanted - there)
        if absent or not wanted:
            if not there:
                hint = "the rows of --data need a key `page`"
            else:
                hint = f"there are: {', '.join(_in_order(there)[:_LISTED])}" + (" …" if len(there) > _LISTED else "")
            raise UsageError(f"no crop of the pages {', '.join(absent)}" if absent else "no page is named", hint=hint)
        return self.where(lambda row: row.page is not None and str(row.page).strip() in wanted)


def _in_order(pages: set[str]) -> list[str]:
    return sorted(pages, key=lambda page: (not page.isdecimal(), int(page) if page.isdecimal() else 0, page))


def _is_file(path: Path) -> bool:
    """Whether it is a file that may be looked at, under a name that can be one."""
    try:
        return path.is_file()
    except OSError:
        return False


def read_crops(path: Path, words: Words, vocabulary: Vocabulary) -> Crops:
    """Read JSON lines with ``file`` (relative to the file's folder) and ``reading``; null readings are left out.

    Raises:
        NotFoundError: no such file.
        DataError: no usable row; the first reasons are named.
    """
    if not _is_file(path):
        raise NotFoundError(f"no crops file {path}", hint='JSON lines: {"file": "a.png", "reading": "…"}')
    crops = Crops([])
    named = vocabulary.named(words.inventory)  # a word that it lacks is told by its name in the graph
    how = 'each line: {"file": "a.png", "reading": "…"} with a reading `guqin parse` accepts'
    lines = decoded(path.read_bytes(), DataError, file=path, hint=how).splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            reading, name = row.get("reading"), row.get("file")
            if not reading:
                crops.skipped.append(f"{number}: no reading")
                continue
            if not name or not _is_file(path.parent / name):
                crops.skipped.append(f"{number}: no picture {name!r}")
                continue
            bases = words.encode(reading)
            named.encode(bases)
        except (ValueError, AttributeError, TypeError) as error:
            crops.skipped.append(f"{number}: not a JSON object ({error})")
            continue
        except GuqinKGError as error:
            crops.skipped.append(f"{number}: {error.message}")
            how = str(error.hint) if error.code == "unknown-component" else how
            continue
        found = words.decode(bases)
        crops.rows.append(Crop(path.parent / name, found.reading if found else reading, bases, row.get("page")))
    if not crops.rows:
        raise DataError(
            "; ".join([f"no usable crop in {len(lines)} lines", *crops.skipped[:5]]),
            code="no-crops",
            file=path,
            hint=how,
        )
    return crops


def windows_of(crops: Crops, height: int, width: int) -> np.ndarray:
    """The pictures of the crops as windows ``(n, height, width)``; rows that cannot be read move to ``skipped``.

    Raises:
        DataError: none is left.
    """
    found, kept = [], []
    for row in crops.rows:
        try:
            found.append(fit(load_grey(row.file), height, width).pixels)
        except GuqinKGError as error:
            crops.skipped.append(f"{row.file.name}: {error.message}")
            continue
        kept.append(row)
    crops.rows[:] = kept
    if not found:
        raise DataError(
            "; ".join(["none of the pictures can be read", *crops.skipped[:5]]),
            code="no-crops",
            hint="`guqin recognize FILE …` says what is wrong with each",
        )
    return np.stack(found)


def to_shard(crops: Crops, vocabulary: Vocabulary, height: int, width: int, length: int) -> Shard:
    """Windows and tokens of the crops; boxes unknown (NaN). What cannot be read or is too long moves to ``skipped``.

    Raises:
        DataError: none is left.
    """
    short = []
    for row in crops.rows:
        if len(row.bases) + 2 > length:  # begin and end stand around them
            crops.skipped.append(f"{row.file.name}: {row.reading} is longer than the model reads")
        else:
            short.append(row)
    crops.rows[:] = short
    windows = windows_of(crops, height, width)
    rows = [vocabulary.encode(row.bases) for row in crops.rows]
    unknown = [np.full((len(tokens), 4), np.nan, np.float32) for tokens in rows]
    return pack(list(zip(windows, rows, unknown, strict=True)), length)

"""Lists of readings as people keep them: one a line, numbered or not, with comments, or JSON lines of crops."""

from __future__ import annotations

import json
from pathlib import Path

from guqin_kg.errors import DataError, decoded


def without_index(line: str) -> str:
    """The line without a running number and the tab after it."""
    index, tab, rest = line.partition("\t")
    return rest if tab and index.strip().isdecimal() else line


def read_list(path: Path) -> list[str]:
    """Readings of a file, one a line: an index and a tab may stand before it, empty lines and ``#`` comments are left
    out, of JSON lines ``reading`` is taken.

    Raises:
        DataError: ``not-utf8`` with the line, ``empty-list``, ``unreadable``.
    """
    how = "a text file with one reading a line, or JSON lines with `reading`"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read the list: {error.strerror or error}", code="unreadable", file=path, hint=how
        ) from None
    text = decoded(data, DataError, file=path, hint=how).removeprefix("\ufeff")
    out: list[str] = []
    for line in text.splitlines():
        found = _reading(line.strip())
        if found:
            out.append(found)
    if not out:
        raise DataError("no reading in this list", code="empty-list", file=path, hint=how)
    return out


def _reading(line: str) -> str | None:
    if line.startswith("{"):
        try:
            row = json.loads(line)
        except ValueError:
            return line  # the parser says what is wrong with it
        return str(row["reading"]) if row.get("reading") else None
    return without_index(line.split("#")[0]).strip()

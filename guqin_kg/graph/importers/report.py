"""What an import did, row by row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from guqin_kg.graph.edit import file_lines

_SHOWN = 20


@dataclass
class ImportReport:
    """What went in and what did not.

    Attributes:
        rows: rows the file holds.
        imported: rows that went in (also where the notation was there already).
        notations: distinct notations they name; ``new`` of them were not in the graph.
        problems: one entry a row left out: ``row`` (1-based line, 0 where the file has none), ``text``, ``code``,
            ``message``.
        made: IRIs of the notations that were not in the graph.
        notes: what a reader should know (how many rows carried no reading, …).
        added: statements added to the store.
        files: files written (in a dry run: that would be), the provenance record among them.
        counts: one entry a file: file, and the statements ``added`` to it and ``removed`` from it.
    """

    format: str
    path: str
    rows: int = 0
    imported: int = 0
    notations: int = 0
    new: int = 0
    images: int = 0
    source: str | None = None
    dry_run: bool = False
    problems: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    warnings: int = 0
    files: list[str] = field(default_factory=list)
    counts: list[dict[str, Any]] = field(default_factory=list)
    added: int = 0
    content: str | None = None

    def refuse(self, row: int, text: str, code: str, message: str) -> None:
        """Leave a row out."""
        self.problems.append({"row": row, "text": text, "code": code, "message": message})

    def to_json(self) -> dict[str, Any]:
        """JSON-able form."""
        return dict(vars(self))

    def lines(self) -> list[str]:
        """For people."""
        would = " would go in" if self.dry_run else " imported"
        out = [
            f"{self.imported:,} of {self.rows:,} rows{would}: {self.notations:,} notations, {self.new:,} of them new"
        ]
        if self.images:
            out[0] += f", {self.images:,} images"
        out += [f"note: {note}" for note in self.notes]
        for problem in self.problems[:_SHOWN]:
            where = f"row {problem['row']}: " if problem["row"] else ""
            out.append(f"{where}{problem['text']}: {problem['message']}")
        if len(self.problems) > _SHOWN:
            out.append(f"… and {len(self.problems) - _SHOWN} more rows left out (--format json shows all)")
        if self.warnings:
            out.append(f"{self.warnings} warnings of the shapes (`guqin validate` shows them)")
        written = "would be written" if self.dry_run else "written"
        out += [f"{written}: {told}" for told in file_lines(self.counts)]
        return out

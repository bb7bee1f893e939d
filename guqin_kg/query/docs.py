"""The reference page of the query library, generated from the queries' own headers."""

from __future__ import annotations

from itertools import groupby

from guqin_kg.query.library import packaged
from guqin_kg.query.spec import QuerySpec

_INTERNAL = {"dialogue", "explain"}


def page() -> str:
    """``docs/reference/queries.md``."""
    specs = packaged().all()
    lines = [
        "# Library queries",
        "",
        "Generated from the headers in `sparql/` by `make docs`. How to ask: [queries.md](../queries.md).",
        "`?` after a type: the parameter may be left out, or the column may be empty.",
        "",
    ]
    own = [s for s in specs if s.purpose.split("/")[0] not in _INTERNAL]
    for purpose, group in groupby(own, key=lambda s: s.purpose):
        lines += [f"## {purpose}", ""]
        for spec in group:
            lines += _entry(spec)
    rest = [s for s in specs if s.purpose.split("/")[0] in _INTERNAL]
    if rest:
        lines += ["## Queries behind the texts", "", "Dialogues and explanations are bound to these.", ""]
        lines += ["| query | asks |", "| --- | --- |"]
        lines += [f"| `{s.name}` | {_cell(s.question['zh'])} {_cell(s.question['en'])} |" for s in rest]
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _entry(spec: QuerySpec) -> list[str]:
    lines = [f"### `{spec.name}`", "", f"{spec.question['zh']} {spec.question['en']}", ""]
    if spec.check:
        lines += ["A check: no rows on the released graph.", ""]
    if spec.note:
        lines += [spec.note.strip(), ""]
    if spec.params:
        lines += ["| parameter | type | example | |", "| --- | --- | --- | --- |"]
        for p in spec.params:
            kind = p.type + ("?" if p.optional else "") + (f" ({p.cls})" if p.cls else "")
            told = "; ".join(t for t in (p.about, f"default {p.default}" if p.default is not None else None) if t)
            lines.append(f"| `{p.name}` | {kind} | `{p.example}` | {_cell(told)} |")
        lines.append("")
    if spec.columns:
        shown = ", ".join(f"`{c.name}` {c.type}{'?' if c.optional else ''}" for c in spec.columns)
        lines += [f"Columns: {shown}.", ""]
    given = " ".join(f"-p {p.name}={p.example}" for p in spec.params if not p.optional and p.default is None)
    lines += ["```console", f"$ guqin query {spec.name}" + (f" {given}" if given else ""), "```", ""]
    return lines

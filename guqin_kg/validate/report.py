"""What a validation run found: plain records, no printing, no RDF library.

A :class:`Result` is one row of a SHACL validation report. Terms are kept as N-Triples text (``<iri>``,
``"literal"@zh``), so results of different engines compare byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

SH = "http://www.w3.org/ns/shacl#"
SEVERITIES = {SH + "Violation": "violation", SH + "Warning": "warning", SH + "Info": "info"}
_ORDER = {"violation": 0, "warning": 1, "info": 2}


def plain(term: str | None) -> str | None:
    """The IRI, lexical form or blank node label inside an N-Triples term."""
    if term is None:
        return None
    if term.startswith("<"):
        return term[1:-1]
    if term.startswith('"'):
        return _unescape(term[1 : term.rindex('"')])
    return term


def _unescape(text: str) -> str:
    pairs = {'\\"': '"', "\\n": "\n", "\\r": "\r", "\\t": "\t", "\\\\": "\\"}
    out, i = [], 0
    while i < len(text):
        two = text[i : i + 2]
        out.append(pairs.get(two, text[i]))
        i += 2 if two in pairs else 1
    return "".join(out)


@dataclass(frozen=True)
class Result:
    """One row of the report.

    Attributes:
        focus: the node the shape was applied to, as N-Triples text.
        path: the property concerned as a SPARQL path (``<iri>`` or ``<a>/<b>``), if any.
        value: the offending value as N-Triples text, if any.
        severity: ``violation``, ``warning`` or ``info``.
        shape: IRI of the shape that produced the result.
        constraint: IRI of the SHACL constraint component.
        rule: IRI of the ``sh:sparql`` constraint, if the component is one.
        messages: language → message saying what to change.
        file, line: where the statement stands, when the sources are known.
    """

    focus: str
    path: str | None
    value: str | None
    severity: str
    shape: str
    constraint: str
    rule: str | None = None
    messages: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)
    file: str | None = field(default=None, compare=False)
    line: int | None = field(default=None, compare=False)

    @property
    def key(self) -> tuple[str, str, str, str, str, str, str]:
        """What two engines must agree on."""
        return (
            self.focus,
            self.path or "",
            self.value or "",
            self.severity,
            self.shape,
            self.constraint,
            self.rule or "",
        )

    def to_json(self) -> dict[str, Any]:
        """The row in the form of the command line contract."""
        out: dict[str, Any] = {
            "focus": plain(self.focus),
            "path": plain(self.path) if self.path and self.path.count("<") == 1 else self.path,
            "value": plain(self.value),
            "severity": self.severity,
            "shape": self.shape,
            "constraint": self.constraint,
            "message": dict(self.messages),
            "file": self.file,
            "line": self.line,
        }
        if self.rule:
            out["rule"] = self.rule
        return out


@dataclass(frozen=True)
class Report:
    """The outcome of one validation run.

    ``conforms`` is true when there is no *violation*: warnings and remarks do not stop an edit.

    Attributes:
        results: rows in a stable order (violations first).
        focus_nodes: how many nodes were checked.
        engine: ``"fast"``, ``"pyshacl"`` or both joined by ``+`` when shapes fell back to pySHACL.
        fallbacks: shapes the fast engine handed to pySHACL, with the reason.
        seconds: wall time.
    """

    results: tuple[Result, ...] = ()
    focus_nodes: int = 0
    engine: str = "fast"
    fallbacks: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0

    @classmethod
    def of(cls, results: Iterable[Result], **facts: Any) -> Report:
        """A report with duplicate rows removed and the rest in a stable order."""
        rows: dict[tuple[str, ...], Result] = {}
        for row in results:
            rows.setdefault(row.key, row)
        ordered = sorted(rows.values(), key=lambda r: (_ORDER.get(r.severity, 3), r.key))
        return cls(tuple(ordered), **facts)

    @property
    def conforms(self) -> bool:
        """No violation (warnings and infos allowed)."""
        return not any(r.severity == "violation" for r in self.results)

    @property
    def violations(self) -> tuple[Result, ...]:
        """The rows of severity violation."""
        return tuple(r for r in self.results if r.severity == "violation")

    def counts(self) -> dict[str, int]:
        """Severity → number of rows."""
        out = dict.fromkeys(_ORDER, 0)
        for row in self.results:
            out[row.severity] = out.get(row.severity, 0) + 1
        return out

    def located(self, where: Mapping[tuple[str, str | None], tuple[str, int]]) -> Report:
        """The same report with file and line filled in from (focus, path) or (focus, None) → (file, line)."""

        def place(row: Result) -> Result:
            hit = where.get((row.focus, row.path)) or where.get((row.focus, None))
            return replace(row, file=hit[0], line=hit[1]) if hit else row

        return replace(self, results=tuple(place(r) for r in self.results))

    def to_json(self) -> dict[str, Any]:
        """The report in the form of the command line contract."""
        out: dict[str, Any] = {
            "conforms": self.conforms,
            "focus_nodes": self.focus_nodes,
            "results": [r.to_json() for r in self.results],
            "engine": self.engine,
            "seconds": round(self.seconds, 3),
        }
        if self.fallbacks:
            out["fallbacks"] = [{"shape": s, "because": why} for s, why in self.fallbacks]
        return out

    def to_text(self, *, limit: int | None = None, lang: str = "both") -> str:
        """The report for people: one block per row, then the counts."""
        lines: list[str] = []
        shown = self.results if limit is None else self.results[:limit]
        for row in shown:
            where = f"{row.file}:{row.line}: " if row.file and row.line else (f"{row.file}: " if row.file else "")
            lines.append(f"{where}{row.severity}: {plain(row.focus)}")
            if row.path:
                lines.append(f"    path   {row.path}")
            if row.value is not None and row.value != row.focus:
                lines.append(f"    value  {plain(row.value)}")
            lines.append(f"    shape  {row.rule or row.shape}")
            for key in sorted(row.messages, reverse=True):
                if lang in ("both", key):
                    lines.append(f"    {key or '-'}     {row.messages[key]}")
        if len(shown) < len(self.results):
            lines.append(f"… and {len(self.results) - len(shown)} more (--format json shows all)")
        c = self.counts()
        verdict = "conforms" if self.conforms else "does not conform"
        lines.append(
            f"{verdict}: {self.focus_nodes} nodes checked, {c['violation']} violations, "
            f"{c['warning']} warnings, {c['info']} remarks ({self.engine}, {self.seconds:.2f} s)"
        )
        return "\n".join(lines)

    def to_turtle(self) -> str:
        """The report as a standard ``sh:ValidationReport``."""
        names = {v: "sh:" + k.removeprefix(SH) for k, v in SEVERITIES.items()}
        lines = ["@prefix sh: <http://www.w3.org/ns/shacl#> .", ""]
        rows: list[str] = []
        for row in self.results:
            body = ["a sh:ValidationResult", f"sh:focusNode {row.focus}"]
            if row.path:
                body.append(f"sh:resultPath {_path_turtle(row.path)}")
            if row.value is not None:
                body.append(f"sh:value {row.value}")
            body.append(f"sh:resultSeverity {names.get(row.severity, row.severity)}")
            body.append(f"sh:sourceShape {row.shape if row.shape.startswith('_:') else f'<{row.shape}>'}")
            body.append(f"sh:sourceConstraintComponent <{row.constraint}>")
            if row.rule and not row.rule.startswith("_:"):
                body.append(f"sh:sourceConstraint <{row.rule}>")
            for lang, text in sorted(row.messages.items()):
                quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
                body.append(f'sh:resultMessage "{quoted}"' + (f"@{lang}" if lang else ""))
            rows.append("[\n    " + " ;\n    ".join(body) + "\n  ]")
        head = f"[] a sh:ValidationReport ;\n  sh:conforms {'true' if self.conforms else 'false'}"
        tail = " ;\n  sh:result " + " ,\n  ".join(rows) if rows else ""
        return "\n".join(lines) + head + tail + " .\n"


def _path_turtle(path: str) -> str:
    """A SPARQL path as a SHACL path: an IRI, a sequence of IRIs or an inverse; others as a described alternative."""
    iri = r"<[^<>]*>"
    if re.fullmatch(iri, path):
        return path
    if re.fullmatch(rf"\({iri}(/{iri})*\)", path):
        return "( " + " ".join(re.findall(iri, path)) + " )"
    if re.fullmatch(rf"\^{iri}", path):
        return f"[ sh:inversePath {path[1:]} ]"
    return "[ sh:alternativePath ( " + " ".join(re.findall(iri, path)) + " ) ]"

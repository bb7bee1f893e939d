"""Edits of the workspace graph: read, check, validate, then change files and store as one.

Every edit runs under the writer's lock.  What it would break is found before anything is written; the files change
together or not at all (``journal``), and the store follows by the difference of statements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import DataError, NotFoundError, ValidationError
from guqin_kg.graph import journal, provenance
from guqin_kg.graph.build import build_locked, schema_of
from guqin_kg.graph.expand import expand
from guqin_kg.graph.lock import writing
from guqin_kg.graph.serialise import format_triples, head_comment
from guqin_kg.graph.sources import find_line, read_bytes, read_triples
from guqin_kg.graph.store import Generation
from guqin_kg.graph.workspace import Workspace
from guqin_kg.inventory import GQ, GQR, load_inventory
from guqin_kg.query.terms import expand as expand_name
from guqin_kg.query.terms import prefixes, shorten
from guqin_kg.query.tokens import has_comment

if TYPE_CHECKING:
    from pyoxigraph import NamedNode, Triple

    from guqin_kg.notation.grammar import Grammar

Say = Callable[[str], None]
NOTATIONS = "notations.ttl"
_COMMENT = "# Notations added with `guqin add`, in a stable order. Edit freely; comments below this line are not kept."
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
_SOURCE = "http://purl.org/dc/terms/source"
OWN_SOURCE = GQR + "source-workspace"


@dataclass
class EditReport:
    """What an edit did, or would do.

    Attributes:
        action: ``add``, ``remove``.
        notations: one entry a reading or resource: reading, iri, status (``added``, ``present``, ``removed``).
        added, removed: statements in the store.
        files: files changed, relative to the workspace; the provenance record is one of them.
        counts: one entry a file: file, and the statements ``added`` to it and ``removed`` from it.
        warnings: rows of the validation report that do not stop the edit.
        activity: IRI of the provenance record.
    """

    action: str
    dry_run: bool = False
    notations: list[dict[str, Any]] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    files: list[str] = field(default_factory=list)
    counts: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    activity: str | None = None
    content: str | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-able form."""
        return dict(vars(self))

    def lines(self) -> list[str]:
        """For people."""
        words = {"added": "added", "present": "already there", "removed": "removed"}
        would = "would be " if self.dry_run else ""
        out = []
        for row in self.notations:
            done = words[row["status"]] if row["status"] == "present" else would + words[row["status"]]
            out.append(f"{row['reading'] or '':　<8}  {done}  {shorten(row['iri'])}")
        for row in self.warnings:
            message = row["message"].get("zh") or next(iter(row["message"].values()), "")
            out.append(
                f"{row['severity']}: {shorten(row['focus'] or '')}: {message} {row['message'].get('en', '')}".rstrip()
            )
        if self.files:
            out += [f"{would}touched: {told}" for told in file_lines(self.counts)]
            if not self.dry_run:
                out.append(f"in the store: {self.added} statements added, {self.removed} removed")
                out.append("`guqin status` shows what this made stale, `guqin regenerate` brings it up to date")
        else:
            out.append("nothing changed")
        return out


def file_lines(counts: Iterable[dict[str, Any]]) -> list[str]:
    """For people: each file touched, with the statements it gained and lost."""
    return [f"{c['file']} ({c['added']:,} statements added, {c['removed']:,} removed)" for c in counts]


def add_readings(
    ws: Workspace, readings: Sequence[str], *, dry_run: bool = False, say: Say | None = None, source: str | None = None
) -> EditReport:
    """Add the notations of ``readings`` to the workspace graph; all or none.

    Raises:
        ReadingError: a reading cannot be parsed.
        ValidationError: the graph would not conform.
        StoreLockedError: another process writes.
    """
    from guqin_kg.notation.format import short_reading
    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.notation.parse import parse
    from guqin_kg.notation.rdf import to_triples

    with writing(ws.state, ws.settings.lock_seconds, say):
        journal.recover(ws.state, ws.root)
        generation, _ = build_locked(ws, say=say)
        grammar = _grammar(ws)
        report = EditReport("add", dry_run)
        new: list[Triple] = []
        for text in dict.fromkeys(readings):
            notation = parse(text, grammar)
            iri = notation_iri(notation, grammar)
            row = {"reading": text, "iri": iri, "status": "added"}
            if stated(generation, iri) or any(r["iri"] == iri for r in report.notations):
                row["status"] = "present"
                if (name := short_reading(notation, grammar)) != text:
                    row["as"] = name
            else:
                new += [*to_triples(notation, grammar), _triple(iri, _SOURCE, source or OWN_SOURCE)]
            report.notations.append(row)
        if not new:
            return report
        if source is None and not stated(generation, OWN_SOURCE):
            new += own_source()
        path = ws.graph / NOTATIONS
        check(ws, generation, new, report)
        made = [r["iri"] for r in report.notations if r["status"] == "added"]
        names = "、".join(r["reading"] for r in report.notations if r["status"] == "added")
        changes: dict[Path, bytes | None] = {path: merged(path, new, _COMMENT)}
        finish(ws, changes, report, (f"添加 {names}", f"add {names}"), generated=made, say=say)
        return report


def add_file(ws: Workspace, path: Path, *, dry_run: bool = False, say: Say | None = None) -> EditReport:
    """Add the statements of a file: copied into ``graph/`` as it is, after checks.

    Raises:
        GraphSyntaxError, LimitError, UnsafeInputError: the file is broken, too large or holds what it may not.
        DataError: it names a notation that is there under another IRI, or the place in ``graph/`` is taken.
        ValidationError: the graph would not conform.
    """
    with writing(ws.state, ws.settings.lock_seconds, say):
        journal.recover(ws.state, ws.root)
        triples = read_triples(path, max_bytes=ws.max_bytes, guarded=True)
        generation, _ = build_locked(ws, say=say)
        report = EditReport("add", dry_run)
        target = ws.graph / path.name
        data = read_bytes(path, ws.max_bytes)
        if target.exists() and target.resolve() != path.resolve() and target.read_bytes() != data:
            raise DataError(
                f"graph/{path.name} is there already with other contents",
                code="exists",
                file=path,
                hint="give the file another name, or edit the one in graph/ and run `guqin build`",
            )
        refuse_duplicates(ws, generation, triples, path, data)
        full = expand(triples, schema_of(generation))
        check(ws, generation, full, report, path)
        subjects = sorted({t.subject.value for t in triples if "/" not in t.subject.value.removeprefix(GQR)})  # type: ignore[union-attr]
        names = {t.subject.value: t.object.value for t in triples if t.predicate.value == GQ + "notationName"}  # type: ignore[union-attr]
        present = {s for s in subjects if stated(generation, s)}
        report.notations = [
            {"reading": names.get(s), "iri": s, "status": "present" if s in present else "added"} for s in subjects
        ]
        finish(
            ws,
            {target: data},
            report,
            (f"添加 {path.name}", f"add {path.name}"),
            generated=set(subjects) - present,
            held={target: triples},
            say=say,
        )
        return report


def remove_notations(
    ws: Workspace, readings: Iterable[str], *, dry_run: bool = False, say: Say | None = None
) -> EditReport:
    """Remove notations (readings or IRIs) from the workspace graph; all or none.

    Raises:
        ReadingError: a reading cannot be parsed.
        NotFoundError: the workspace does not state it.
        DataError: other statements of the workspace use it, or its file holds comments that would be lost.
    """
    with writing(ws.state, ws.settings.lock_seconds, say):
        journal.recover(ws.state, ws.root)
        build_locked(ws, say=say)
        report = EditReport("remove", dry_run)
        wanted = {_iri_of(ws, text): text for text in readings}
        files = {p: read_triples(p, max_bytes=ws.max_bytes) for p in ws.graph_files() if p.name != provenance.FILE}
        changes: dict[Path, bytes | None] = {}
        gone: set[str] = set()
        for path, triples in files.items():
            mine = [t for t in triples if _about(t.subject, wanted)]
            if not mine:
                continue
            _refuse_comments(ws, path, mine)
            gone |= {w for w in wanted for t in mine if _about(t.subject, [w])}
            left = [t for t in triples if not _about(t.subject, wanted)]
            files[path] = left
            text = path.read_text(encoding="utf-8")
            changes[path] = format_triples(left, prefixes(), comment=head_comment(text)).encode() if left else None
        for iri, text in wanted.items():
            if iri not in gone:
                raise NotFoundError(
                    f"the workspace states nothing about {text}",
                    code="not-in-workspace",
                    hint="only what you added can be removed; the released graph stays as it is",
                    iri=iri,
                )
            report.notations.append({"reading": text, "iri": iri, "status": "removed"})
        for path, left in files.items():
            for t in left:
                if _about(t.object, wanted) and not _about(t.subject, wanted):
                    raise DataError(
                        f"{shorten(t.subject.value)} still uses it ({shorten(t.predicate.value)})",  # type: ignore[union-attr]
                        code="in-use",
                        file=ws.relative(path),
                        line=find_line(path.read_bytes(), shorten(_value(t.object)), _value(t.object)),
                        hint="remove that statement first",
                    )
        names = "、".join(wanted.values())
        finish(ws, changes, report, (f"移除 {names}", f"remove {names}"), invalidated=wanted, say=say)
        return report


def _value(term: Any) -> str:
    return str(getattr(term, "value", ""))


def _about(term: Any, iris: Iterable[str]) -> bool:
    value = _value(term)
    return any(value == iri or value.startswith(iri + "/") for iri in iris)


def _iri_of(ws: Workspace, text: str) -> str:
    full = expand_name(text) or (text if "://" in text else None)
    if full:
        return full
    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.notation.parse import parse

    grammar = _grammar(ws)
    return notation_iri(parse(text, grammar), grammar)


def _refuse_comments(ws: Workspace, path: Path, mine: list[Triple]) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ttl" or has_comment(text[len(head_comment(text)) :]):
        subject = _value(mine[0].subject)
        raise DataError(
            "the file is kept by hand (it holds comments that rewriting would lose)",
            code="hand-kept",
            file=ws.relative(path),
            line=find_line(path.read_bytes(), shorten(subject).replace("/", "\\/"), subject),
            hint="delete the block there yourself, then run `guqin build`",
        )


def _grammar(ws: Workspace, *extra: Path) -> Grammar:
    from guqin_kg.notation.grammar import grammar_of

    return grammar_of(load_inventory(extra, base=ws.sign_files()))


def _triple(subject: str, predicate: str, target: NamedNode | str) -> Triple:
    import pyoxigraph as ox

    value = ox.NamedNode(target) if isinstance(target, str) else target
    return ox.Triple(ox.NamedNode(subject), ox.NamedNode(predicate), value)


def own_source() -> list[Triple]:
    """The source that notations typed in by the user carry."""
    import pyoxigraph as ox

    node = ox.NamedNode(OWN_SOURCE)
    labels = [ox.Literal("本工作区", language="zh"), ox.Literal("this workspace", language="en")]
    told = [
        ox.Literal("工作区使用者所录。", language="zh"),
        ox.Literal("Entered by the user of this workspace.", language="en"),
    ]
    definition = ox.NamedNode("http://www.w3.org/2004/02/skos/core#definition")
    return [
        _triple(OWN_SOURCE, _TYPE, GQ + "Source"),
        *(ox.Triple(node, ox.NamedNode(_LABEL), label) for label in labels),
        *(ox.Triple(node, definition, text) for text in told),
    ]


def stated(generation: Generation, iri: str) -> bool:
    """Whether the graph states ``iri`` on its own account (with a source), not only as an entry of the lexicon."""
    import pyoxigraph as ox

    node = ox.NamedNode(iri)
    if generation.manifest["lexicon"] == "full" and iri.startswith(GQR + "n-"):
        return next(generation.store.quads_for_pattern(node, ox.NamedNode(_SOURCE), None), None) is not None
    return next(generation.store.quads_for_pattern(node, ox.NamedNode(_TYPE), None), None) is not None


def merged(path: Path, triples: Iterable[Triple], comment: str) -> bytes:
    """The contents of ``path`` with ``triples`` added, in the stable form."""
    known: list[Triple] = []
    if path.exists():
        known = read_triples(path)
        comment = head_comment(path.read_text(encoding="utf-8")) or comment
    return format_triples(dict.fromkeys([*known, *triples]), prefixes(), comment=comment).encode()


def check(
    ws: Workspace, generation: Generation, triples: Iterable[Triple], report: EditReport, path: Path | None = None
) -> None:
    """Validate the graph with ``triples`` added; warnings go into the report.

    Raises:
        ValidationError: a rule would be broken; ``details['results']`` holds the rows.
    """
    from guqin_kg.validate import validate_additions

    found = validate_additions(generation.store, list(triples))
    rows = [r.to_json() for r in found.results]
    if not found.conforms:
        bad = [r for r in rows if r["severity"] == "violation"]
        data = path.read_bytes() if path else None
        lines = [find_line(data, shorten(r["focus"] or ""), r["focus"] or "") for r in bad]
        bad = [bad[i] for i in sorted(range(len(bad)), key=lambda i: lines[i] is None)]  # what the file names first
        said = "; ".join(_message(r) for r in bad[:3]) + (f"; and {len(bad) - 3} more" if len(bad) > 3 else "")
        raise ValidationError(
            f"refused: {said}",
            file=path,
            line=next((line for line in lines if line), None),
            hint="nothing was changed; mend what the message names",
            results=bad,
        )
    report.warnings = [r for r in rows if r["severity"] != "violation"]


def _message(row: dict[str, Any]) -> str:
    texts = [row["message"][k] for k in ("zh", "en") if row["message"].get(k)] or list(row["message"].values())
    return f"{shorten(row['focus'] or '')}: {' '.join(texts)}"


def refuse_duplicates(
    ws: Workspace, generation: Generation, triples: list[Triple], path: Path, data: bytes | None = None
) -> None:
    """A notation or a base notation that the graph has under another IRI is refused.

    Raises:
        DataError: with both IRIs and the line.
    """
    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.notation.parse import parse

    names = {_value(t.subject): _value(t.object) for t in triples if t.predicate.value == GQ + "notationName"}
    kinds: dict[str, set[str]] = {}
    for t in triples:
        if t.predicate.value == _TYPE:
            kinds.setdefault(_value(t.subject), set()).add(_value(t.object))
    forms = ("Compound", "Simple", "Complex", "Aside", "Standalone")
    compound = {f"{GQ}{form}Notation" for form in forms}
    if not names:
        return
    grammar = _grammar(ws, path) if path.suffix == ".ttl" else _grammar(ws)
    released = _grammar(ws).inventory
    for subject, name in names.items():
        line = find_line(data, shorten(subject), subject)
        if kinds.get(subject, set()) & compound:
            right = notation_iri(parse(name, grammar), grammar)
            if right != subject:
                where = "is in the graph" if stated(generation, right) else "belongs"
                raise DataError(
                    f"{name} {where} under {shorten(right)}, not {shorten(subject)}",
                    code="duplicate",
                    file=path,
                    line=line,
                    hint=f"an IRI is made from the structure: write {shorten(right)}, or `guqin add {name}`",
                )
        elif subject in grammar.inventory.by_iri:
            base = grammar.inventory.by_iri[subject]
            for other in released.named(name):
                if other.iri != subject and other.part_role == base.part_role:
                    raise DataError(
                        f"{name} is in the graph already, as {shorten(other.iri)}",
                        code="duplicate",
                        file=path,
                        line=line,
                        hint="add statements to that resource, or give the new sign another reading word",
                    )


def finish(
    ws: Workspace,
    changes: dict[Path, bytes | None],
    report: EditReport,
    labels: tuple[str, str],
    *,
    generated: Iterable[str] = (),
    invalidated: Iterable[str] = (),
    source: str | None = None,
    held: Mapping[Path, Iterable[Triple]] | None = None,
    say: Say | None = None,
) -> None:
    """Write the files with a provenance record and bring the store up to date; the caller holds the lock.

    Args:
        ws: the workspace.
        changes: new contents by file, None for a file that goes; those that are so already are passed over.
        report: gets the files, the counts, the activity and the content hash; says whether this is a dry run.
        labels: what was done, in Chinese and English.
        generated: IRIs the edit made.
        invalidated: IRIs the edit removed.
        source: IRI of the source the data came from.
        held: the statements of new contents that have been read already.
        say: told what takes time.

    Raises:
        DataError: the files are written, but the store could not follow.
    """
    changed = {p: d for p, d in changes.items() if d is None or not p.exists() or p.read_bytes() != d}
    if not changed:
        return
    activity, record = provenance.activity(*labels, generated=generated, invalidated=invalidated, source=source)
    log = ws.graph / provenance.FILE
    changed[log] = provenance.appended(log, record)
    report.files = [ws.relative(p) for p in changed]
    report.counts = [_counted(ws, path, data, (held or {}).get(path)) for path, data in changed.items()]
    report.added = sum(c["added"] for c in report.counts)
    report.removed = sum(c["removed"] for c in report.counts)
    if report.dry_run:
        return
    report.activity = activity
    journal.commit(ws.state, ws.root, changed)
    try:
        generation, built = build_locked(ws, say=say)
    except OSError as error:  # the statements are safe in their files; only what is made from them is behind
        raise DataError(
            f"the change is in {', '.join(report.files)}, but the store could not follow: {error.strerror or error}",
            code="store-behind",
            hint="make room or mend the permissions; the next command brings the store up to date, repeat nothing",
        ) from error
    if built.added is not None and built.removed is not None:
        report.added, report.removed = built.added, built.removed
    report.content = generation.content_hash


def _counted(ws: Workspace, path: Path, data: bytes | None, held: Iterable[Triple] | None) -> dict[str, Any]:
    """The statements a file gains and loses by its new contents."""
    before = _triples(path.read_bytes() if path.exists() else None, path)
    after = _triples(data, path) if held is None else set(held)
    return {"file": ws.relative(path), "added": len(after - before), "removed": len(before - after)}


def _triples(data: bytes | None, path: Path) -> set[Triple]:
    """The statements of Turtle; other syntaxes are only ever copied whole and then handed over as read."""
    import pyoxigraph as ox

    if not data or path.suffix != ".ttl":
        return set()
    return {q.triple for q in ox.parse(input=data, format=ox.RdfFormat.TURTLE, base_iri=GQR)}

"""Published data into the workspace: what reads goes in, what does not is reported row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import DataError, GuqinKGError, UsageError
from guqin_kg.graph import journal
from guqin_kg.graph.build import build_locked
from guqin_kg.graph.importers.report import ImportReport
from guqin_kg.graph.lock import writing
from guqin_kg.graph.workspace import Workspace
from guqin_kg.inventory import GQ, GQR

if TYPE_CHECKING:
    from pyoxigraph import Triple

    from guqin_kg.graph.importers.rows import Row
    from guqin_kg.graph.store import Generation
    from guqin_kg.query.session import GraphSession

Say = Callable[[str], None]
_COMMENT = "# Imported with `guqin import`; importing the same data again changes nothing."
_DCT_SOURCE = "http://purl.org/dc/terms/source"


@dataclass
class _Job:
    """One import under way."""

    ws: Workspace
    generation: Generation
    session: GraphSession
    report: ImportReport
    source: str
    triples: list[Triple] = field(default_factory=list)
    by_notation: dict[str, list[Triple]] = field(default_factory=dict)
    rows_of: dict[str, list[Row]] = field(default_factory=dict)


def run_import(
    ws: Workspace,
    format_: str,
    path: Path,
    *,
    source: str | None = None,
    tradition: str | None = None,
    dry_run: bool = False,
    say: Say | None = None,
) -> ImportReport:
    """Import ``path``; the rows that cannot be read or would break a shape are left out and reported.

    Args:
        ws: the workspace.
        format_: names, crops, jzpnet, ttl or lingnan.
        path: the file (a folder for lingnan).
        source: IRI or label of the source the data come from; made if it is new.
        tradition: code of the tradition by which that source means two-digit positions.
        dry_run: read and report only.

    Raises:
        DataError: no such file, too large, or nothing at all could be read as this format.
        UsageError: source and tradition contradict the graph.
    """
    from guqin_kg.graph.edit import finish
    from guqin_kg.graph.importers.rows import READERS
    from guqin_kg.query.session import GraphSession

    if not path.exists():
        raise DataError("no such file", code="no-file", file=path, hint="check the path")
    with writing(ws.state, ws.settings.lock_seconds, say):
        journal.recover(ws.state, ws.root)
        generation, _ = build_locked(ws, say=say)
        session = GraphSession(ws, generation)
        report = ImportReport(format_, str(path), dry_run=dry_run)
        if format_ in ("ttl", "lingnan"):
            if source or tradition:
                raise UsageError("--source and --tradition are for names, crops and jzpnet; Turtle states its own")
            from guqin_kg.graph.importers.statements import import_lingnan, import_ttl

            changes = (import_ttl if format_ == "ttl" else import_lingnan)(ws, generation, session, path, report)
        else:
            iri, about = source_of(session, source or (path.stem if tradition else None), tradition)
            report.source = iri
            job = _Job(ws, generation, session, report, iri, triples=about)
            for row in READERS[format_](path, session.grammar, ws.max_bytes):
                _take(job, row)
            changes = _validated(job, format_, path)
        edit = _as_edit(report)
        label = (f"导入 {path.name}（{report.imported} 条）", f"import {path.name} ({report.imported} rows)")
        finish(ws, changes, edit, label, generated=report.made, source=report.source, say=say)
        report.files, report.counts = edit.files, edit.counts
        report.added, report.content = edit.added, edit.content
        return report


def _as_edit(report: ImportReport) -> Any:
    from guqin_kg.graph.edit import EditReport

    return EditReport("import", report.dry_run)


def _take(job: _Job, row: Row) -> None:
    """Read one row into statements, or report it."""
    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.notation.parse import parse
    from guqin_kg.notation.rdf import to_triples

    report = job.report
    report.rows += 1
    if row.problem is not None:
        report.refuse(row.line, row.text, *row.problem)
        return
    if row.reading is None:
        report.refuse(row.line, row.text, "no-reading", "the row gives no reading (null)")
        return
    try:
        notation = parse(row.reading, job.session.grammar)
        iri = notation_iri(notation, job.session.grammar)
        if iri not in job.by_notation:
            job.by_notation[iri] = to_triples(notation, job.session.grammar)
    except GuqinKGError as error:
        report.refuse(row.line, row.text, error.code, error.message)
        return
    job.rows_of.setdefault(iri, []).append(row)


def _validated(job: _Job, format_: str, path: Path) -> dict[Path, bytes | None]:
    """Drop what breaks a shape, write the rest into one file of the workspace."""
    from guqin_kg.graph.edit import merged, own_source, stated
    from guqin_kg.validate import validate_additions

    report = job.report
    new = {iri: t for iri, t in job.by_notation.items() if not stated(job.generation, iri)}
    extra = list(job.triples)
    if job.source.endswith("source-workspace") and not stated(job.generation, job.source):
        extra += own_source()
    for _ in range(5):
        candidate = [t for iri in job.rows_of for t in _statements(job, iri, new)]
        found = validate_additions(job.generation.store, [*extra, *candidate])
        bad: dict[str, str] = {}
        for result in found.violations:
            iri = _owner(result.focus, job)
            if iri is None:
                raise DataError(f"refused: {result.focus}: {_text(result)}", code="does-not-conform", file=path)
            bad.setdefault(iri, _text(result))
        if not bad:
            break
        for iri, message in bad.items():
            for row in job.rows_of.pop(iri, []):
                report.refuse(row.line, row.text, "does-not-conform", message)
            new.pop(iri, None)
    report.problems.sort(key=lambda p: p["row"])
    report.warnings = sum(1 for r in found.results if r.severity == "warning")
    report.imported = sum(len(rows) for rows in job.rows_of.values())
    report.notations, report.new = len(job.rows_of), len(new)
    report.made = sorted(new)
    report.images = sum(1 for rows in job.rows_of.values() for row in rows if row.file)
    empty = sum(1 for p in report.problems if p["code"] == "no-reading")
    if empty:
        report.notes.append(f"{empty} rows carry no reading")
    if not candidate:
        return {}
    target = job.ws.graph / f"import-{format_}-{path.stem}.ttl"
    return {target: merged(target, [*extra, *candidate], _COMMENT)}


def _text(result: Any) -> str:
    messages = result.messages
    return " ".join(str(messages[k]) for k in ("zh", "en") if k in messages) or str(result.constraint)


def _owner(focus: str, job: _Job) -> str | None:
    iri = focus.strip("<>")
    while iri and iri not in job.rows_of:
        cut = iri.rpartition("/")[0]
        if cut == iri or not cut.startswith(GQR):
            break
        iri = cut
    if iri in job.rows_of:
        return iri
    pictures = {image_iri(job.source, r.file): n for n, rows in job.rows_of.items() for r in rows if r.file}
    return pictures.get(focus.strip("<>"))


def image_iri(source: str, file: str) -> str:
    """The IRI of a picture: a function of its source and file name."""
    return f"{GQR}image-{blake2b(f'{source} {file}'.encode(), digest_size=8).hexdigest()}"


def _statements(job: _Job, iri: str, new: dict[str, list[Triple]]) -> Iterable[Triple]:
    import pyoxigraph as ox

    node, source = ox.NamedNode(iri), ox.NamedNode(job.source)
    yield from new.get(iri, ())
    yield ox.Triple(node, ox.NamedNode(_DCT_SOURCE), source)
    for row in job.rows_of[iri]:
        if row.file is None:
            continue
        image = ox.NamedNode(image_iri(job.source, row.file))
        yield ox.Triple(
            image, ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type"), ox.NamedNode(GQ + "Image")
        )
        yield ox.Triple(image, ox.NamedNode(GQ + "fileName"), ox.Literal(row.file))
        yield ox.Triple(image, ox.NamedNode(GQ + "isImageOf"), node)
        yield ox.Triple(image, ox.NamedNode(_DCT_SOURCE), source)


def source_of(session: GraphSession, source: str | None, tradition: str | None) -> tuple[str, list[Triple]]:
    """The IRI of the source a person names, and what must be stated about it where it is new.

    Raises:
        UsageError: no such tradition, or the graph gives that source another one.
    """
    import pyoxigraph as ox

    from guqin_kg.graph.edit import OWN_SOURCE
    from guqin_kg.query.terms import expand

    if source is None:
        return OWN_SOURCE, []
    store = session.store
    followed = session.resolve(tradition, GQ + "Tradition") if tradition else None
    if tradition and followed is None:
        raise UsageError(f"the graph has no tradition {tradition!r}", hint="for example decimal or between")
    iri = expand(source) or (source if "://" in source else session.resolve(source, GQ + "Source"))
    about: list[Triple] = []
    if iri is None:
        iri = f"{GQR}source-{blake2b(source.encode(), digest_size=6).hexdigest()}"
    node = ox.NamedNode(iri)
    said = {q.object.value for q in store.quads_for_pattern(node, ox.NamedNode(GQ + "tradition"), None)}  # type: ignore[union-attr]
    if followed and said and followed not in said:
        raise UsageError(
            f"the graph says that {source} follows {', '.join(sorted(said))}",
            code="tradition-contradicts",
            hint="leave --tradition out, or name another source",
        )

    def state(term: str, value: ox.NamedNode | ox.Literal) -> None:
        about.append(ox.Triple(node, ox.NamedNode(term), value))

    if next(store.quads_for_pattern(node, None, None), None) is None:
        name = source if "://" not in source and not expand(source) else iri.rsplit("/", 1)[-1]
        state("http://www.w3.org/1999/02/22-rdf-syntax-ns#type", ox.NamedNode(GQ + "Source"))
        for lang, told in (("zh", f"来源：{name}。"), ("en", f"Source: {name}.")):
            state("http://www.w3.org/2000/01/rdf-schema#label", ox.Literal(name, language=lang))
            state("http://www.w3.org/2004/02/skos/core#definition", ox.Literal(told, language=lang))
    if followed and not said:
        state(GQ + "tradition", ox.NamedNode(followed))
    return iri, about

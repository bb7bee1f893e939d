"""Imports of whole statements: Turtle (also such as was written to the published vocabulary) and the Lingnan data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import DataError, GuqinKGError
from guqin_kg.graph.importers.report import ImportReport
from guqin_kg.graph.workspace import Workspace
from guqin_kg.inventory import GQ

if TYPE_CHECKING:
    from pyoxigraph import Triple

    from guqin_kg.graph.store import Generation
    from guqin_kg.query.session import GraphSession

_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_IDENTIFIER = "http://purl.org/dc/elements/1.1/identifier"
_SOURCE = "http://purl.org/dc/terms/source"
_COMMENT = "# Imported with `guqin import`; importing the same data again changes nothing."


def import_ttl(
    ws: Workspace, generation: Generation, session: GraphSession, path: Path, report: ImportReport
) -> dict[Path, bytes | None]:
    """A Turtle file: today's terms for deprecated ones, the IRI of the structure for nodes whose name can be read.

    A resource that carries ``gq:notationName`` under an IRI of its own becomes the notation of that structure and keeps
    its old IRI as ``dc:identifier``.  A resource that breaks a shape is left out with its parts.
    """
    from guqin_kg.graph.build import schema_of
    from guqin_kg.graph.edit import merged, refuse_duplicates, stated
    from guqin_kg.graph.expand import expand
    from guqin_kg.graph.sources import find_line, read_bytes, read_triples
    from guqin_kg.query.terms import shorten
    from guqin_kg.validate import validate_additions

    triples = read_triples(path, max_bytes=ws.max_bytes, guarded=True)
    data = read_bytes(path, ws.max_bytes)
    triples, renamed = _structural(triples, session)
    refuse_duplicates(ws, generation, triples, path, data)
    subjects = dict.fromkeys(_subject(t) for t in triples)
    report.rows = len(subjects)
    schema = schema_of(generation)
    kept = list(triples)
    for _ in range(5):
        found = validate_additions(generation.store, expand(kept, schema))
        bad: dict[str | None, Any] = {}
        for result in found.violations:
            focus = result.focus.strip("<>")
            bad.setdefault(focus if focus in subjects else _subject_of(focus, subjects), result)
        if not bad:
            break
        if None in bad:
            result = bad[None]
            raise DataError(f"refused: {result.focus}: {_text(result)}", code="does-not-conform", file=path)
        for subject, result in bad.items():
            line = find_line(data, shorten(str(subject)), renamed.get(str(subject), str(subject)))
            report.refuse(line or 0, shorten(str(subject)), "does-not-conform", _text(result))
        kept = [t for t in kept if _subject(t) not in bad]
    left = dict.fromkeys(_subject(t) for t in kept)
    report.imported = len(left)
    report.warnings = sum(1 for r in found.results if r.severity == "warning")
    report.notations = sum(1 for t in kept if t.predicate.value == GQ + "notationName")
    report.made = sorted(str(s) for s in left if s and not stated(generation, s))
    report.new = len(report.made)
    if renamed:
        report.notes.append(
            f"{len(renamed)} notations got the IRI of their structure; the old one is kept as dc:identifier"
        )
    if not kept:
        return {}
    target = ws.graph / f"import-ttl-{path.stem}.ttl"
    return {target: merged(target, kept, _COMMENT)}


def _text(result: object) -> str:
    messages = getattr(result, "messages", {})
    return " ".join(str(messages[k]) for k in ("zh", "en") if k in messages) or str(getattr(result, "constraint", ""))


def _subject(t: Triple) -> str:
    return str(getattr(t.subject, "value", t.subject))


def _subject_of(focus: str, subjects: dict[str, None]) -> str | None:
    return next((s for s in subjects if focus.startswith(s + "/")), None)


def _structural(triples: list[Triple], session: GraphSession) -> tuple[list[Triple], dict[str, str]]:
    """Statements with notations under the IRI of their structure, completed by what their reading says."""
    import pyoxigraph as ox

    from guqin_kg.graph.edit import OWN_SOURCE, own_source
    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.notation.parse import parse
    from guqin_kg.notation.rdf import to_triples

    names = {
        _subject(t): str(getattr(t.object, "value", "")) for t in triples if t.predicate.value == GQ + "notationName"
    }
    bases = {_subject(t) for t in triples if t.predicate.value == GQ + "grammarRole"}
    sourced = {_subject(t) for t in triples if t.predicate.value == _SOURCE}
    new: dict[str, str] = {}
    extra: list[Triple] = []
    for subject, name in names.items():
        if subject in bases or subject in session.inventory.by_iri:
            continue
        try:
            notation = parse(name, session.grammar)
        except GuqinKGError:
            continue
        iri = notation_iri(notation, session.grammar)
        if subject != iri:
            new[subject] = iri
            extra.append(ox.Triple(ox.NamedNode(iri), ox.NamedNode(_IDENTIFIER), ox.Literal(subject)))
        extra += to_triples(notation, session.grammar)
        if subject not in sourced:
            extra += [*own_source(), ox.Triple(ox.NamedNode(iri), ox.NamedNode(_SOURCE), ox.NamedNode(OWN_SOURCE))]
    known = {s for s in names if s in new or any(_subject(t) == s for t in extra)}
    computed = _computed()
    out = []
    for t in triples:
        if _subject(t) in known and t.predicate.value in computed:
            continue  # the reading says it, in today's form
        about = ox.NamedNode(new[_subject(t)]) if _subject(t) in new else t.subject
        value = str(getattr(t.object, "value", ""))
        target = ox.NamedNode(new[value]) if value in new and isinstance(t.object, ox.NamedNode) else t.object
        out.append(ox.Triple(about, t.predicate, target))
    return list(dict.fromkeys([*out, *extra])), {iri: old for old, iri in new.items()}


def _computed() -> set[str]:
    """Properties of a notation that follow from its reading."""
    local = (
        "notationName fullName traditionalName ids form sound leftFinger leftFingerName marker markerName string "
        "stringNotation rightHandBasicNotation rightHandBasicNotationName rightHandTech rightFinger rightFingerName "
        "leftHandBasicNotation leftHandBasicNotationName leftHandTech fingerRefinedNotation fignerRefinedNotation "
        "fingerRefinedNotationName hasComponent hasPart hasSubNote tone modifier modifierName stepCount mark"
    )
    return {GQ + name for name in local.split()} | {"http://purl.org/dc/elements/1.1/type"}


def import_lingnan(
    ws: Workspace, generation: Generation, session: GraphSession, path: Path, report: ImportReport
) -> dict[Path, bytes | None]:
    """The folder of the Lingnan data: persons, works and editions, transmission, instruments."""
    from guqin_kg.graph.build import schema_of
    from guqin_kg.graph.edit import merged
    from guqin_kg.graph.expand import expand
    from guqin_kg.graph.importers.lingnan import read
    from guqin_kg.validate import validate_additions

    data = read(path)
    report.rows = sum(data.counts.values()) + len(data.problems)
    report.imported = sum(data.counts.values())
    report.notes += [f"{count} {what}" for what, count in sorted(data.counts.items())]
    for problem in data.problems:
        text = f"{problem.get('file', '')} {problem.get('text', '')}".strip()
        report.refuse(
            int(problem.get("row", 0)), text, "row", str(problem.get("reason") or problem.get("message") or "")
        )
    found = validate_additions(generation.store, expand(data.triples, schema_of(generation)))
    if not found.conforms:
        result = found.violations[0]
        raise DataError(f"refused: {result.focus}: {_text(result)}", code="does-not-conform", file=path)
    target = ws.graph / "import-lingnan.ttl"
    return {target: merged(target, data.triples, _COMMENT)}

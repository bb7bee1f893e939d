"""Imports of whole statements: Turtle (also such as was written to the published vocabulary) and the Lingnan data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import DataError, GuqinKGError
from guqin_kg.graph.importers.report import ImportReport
from guqin_kg.graph.sources import find_line
from guqin_kg.graph.workspace import Workspace
from guqin_kg.inventory import GQ, GQR
from guqin_kg.query.terms import shorten

if TYPE_CHECKING:
    from pyoxigraph import Triple

    from guqin_kg.graph.store import Generation
    from guqin_kg.query.session import GraphSession
    from guqin_kg.validate.report import Report, Result

_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_IDENTIFIER = "http://purl.org/dc/elements/1.1/identifier"
_SOURCE = "http://purl.org/dc/terms/source"
_BASE = GQ + "BasicNotation"
_COMMENT = "# Imported with `guqin import`; importing the same data again changes nothing."


def import_ttl(
    ws: Workspace, generation: Generation, session: GraphSession, path: Path, report: ImportReport
) -> dict[Path, bytes | None]:
    """A Turtle file: today's terms for deprecated ones, the IRI of the structure for nodes whose name can be read.

    A resource that carries ``gq:notationName`` under an IRI of its own becomes the notation of that structure and keeps
    its old IRI as ``dc:identifier``; a base notation of the published class becomes the graph's own of that name.  A
    resource that breaks a shape is left out with its parts.

    Args:
        ws: the workspace.
        generation: its store.
        session: queries and the grammar over that store.
        path: the file.
        report: told what went in and what did not.

    Returns:
        the new contents by file.

    Raises:
        GraphSyntaxError, LimitError, UnsafeInputError: the file is broken, too large or holds what it may not.
        DataError: it names a notation that is there under another IRI, or breaks a shape in a way that is no block's.
    """
    from guqin_kg.graph.edit import merged, refuse_duplicates
    from guqin_kg.graph.sources import read_bytes, read_triples

    given = read_triples(path, max_bytes=ws.max_bytes, guarded=True)
    data = read_bytes(path, ws.max_bytes)
    triples, renamed = _structural(given, session)
    refuse_duplicates(ws, generation, triples, path, data)
    kept, refused, found = _conforming(generation, triples, path)
    rows = [s for s, block in blocks(given).items() if s == block]
    lines = _lines(data) if refused else {}
    for subject in rows:
        result = refused.get(renamed.get(subject, subject))
        if result is not None:
            line = lines.get(subject) or find_line(data, f"<{subject}>", shorten(subject), subject)
            report.refuse(line or 0, shorten(subject), "does-not-conform", _text(result))
    report.problems.sort(key=lambda p: p["row"])
    report.rows, report.imported = len(rows), len(rows) - len(report.problems)
    report.warnings = sum(1 for r in found.results if r.severity == "warning")
    _count(report, generation, kept)
    _note_renamed(report, {_subject(t) for t in kept}, renamed, session)
    if not kept:
        return {}
    target = ws.graph / f"import-ttl-{path.stem}.ttl"
    return {target: merged(target, kept, _COMMENT)}


def _lines(data: bytes) -> dict[str, int]:
    """Subject to the line of its block: of the one that says what it is, else of the first."""
    from guqin_kg.validate.locate import TYPE, index_turtle

    found: dict[str, int] = {}
    for (subject, predicate), line in index_turtle(data.decode(), GQR).items():
        if predicate == TYPE:
            found[subject[1:-1]] = line
        else:
            found.setdefault(subject[1:-1], line)
    return found


def _count(report: ImportReport, generation: Generation, kept: list[Triple]) -> None:
    """How many notations went in, and what of it is new to the graph."""
    from guqin_kg.graph.edit import stated

    named = {_subject(t) for t in kept if t.predicate.value == GQ + "notationName"}
    report.made = sorted(s for s, block in blocks(kept).items() if s == block and not stated(generation, s))
    report.notations, report.new = len(named), len(named.intersection(report.made))


def _note_renamed(report: ImportReport, left: set[str], renamed: dict[str, str], session: GraphSession) -> None:
    """Say which resources of the file go by another IRI now; those refused do not."""
    went = [iri for iri in renamed.values() if iri in left]
    own = sum(1 for iri in went if iri in session.inventory.by_iri)
    if len(went) > own:
        report.notes.append(
            f"{len(went) - own} notations got the IRI of their structure; the old one is kept as dc:identifier"
        )
    if own:
        report.notes.append(
            f"{own} base notations are the graph's own of that name; the old IRI is kept as dc:identifier"
        )


def blocks(triples: Iterable[Triple]) -> dict[str, str]:
    """Each subject to the resource with which it stands and falls: itself, or the one it is a part of.

    A part has an IRI below that of its resource, and the resource refers to it.
    """
    rows = list(triples)
    links = {(_subject(t), _value(t.object)) for t in rows}
    out: dict[str, str] = {}
    for subject in sorted(dict.fromkeys(map(_subject, rows)), key=len):  # what is above has the shorter IRI
        out[subject], above = subject, subject
        while "/" in above:
            above = above.rpartition("/")[0]
            if above in out and (above, subject) in links:
                out[subject] = out[above]
                break
    return out


def _conforming(
    generation: Generation, triples: list[Triple], path: Path
) -> tuple[list[Triple], dict[str, Result], Report]:
    """What may go in, and why each other block may not.

    What is left is validated again, since it may refer to what was refused, until nothing more is found.

    Returns:
        the statements kept, the refused blocks with the first result of each, and the report on what is kept.

    Raises:
        DataError: a shape is broken, but no block of the file can be made out as the one that breaks it.
    """
    from guqin_kg.graph.build import schema_of
    from guqin_kg.graph.expand import expand
    from guqin_kg.validate import validate_additions

    schema, block = schema_of(generation), blocks(triples)
    kept, refused = list(triples), dict[str, Any]()
    while True:
        found = validate_additions(generation.store, expand(kept, schema))
        bad: dict[str, Result] = {}
        for result in found.violations:
            for one in _answerable(result, kept, block, path):
                bad.setdefault(one, result)
        if not bad:
            return kept, refused, found
        refused.update(bad)
        kept = [t for t in kept if block[_subject(t)] not in bad]


def _answerable(result: Result, kept: list[Triple], block: dict[str, str], path: Path) -> set[str]:
    """The blocks that break a shape: the one that holds the node, else those that refer to it.

    Raises:
        DataError: there is none.
    """
    there = {block[_subject(t)] for t in kept}
    iri = result.focus.strip("<>")
    above = iri
    while above:
        if block.get(above) in there:
            return {block[above]}
        above = above.rpartition("/")[0]
    found = {block[_subject(t)] for t in kept if _value(t.object) == iri}
    if not found:
        raise DataError(f"refused: {result.focus}: {_text(result)}", code="does-not-conform", file=path)
    return found


def _text(result: Result) -> str:
    messages = result.messages
    return " ".join(str(messages[k]) for k in ("zh", "en") if k in messages) or result.constraint


def _value(term: Any) -> str:
    return str(getattr(term, "value", term))


def _subject(t: Triple) -> str:
    return _value(t.subject)


def _structural(triples: list[Triple], session: GraphSession) -> tuple[list[Triple], dict[str, str]]:
    """Statements with notations under the IRI of their structure, completed by what their reading says.

    Returns:
        the statements, and the old IRI to the new one of each resource that goes by another.
    """
    import pyoxigraph as ox

    own, renamed, extra = _recognised(triples, session)
    computed = _computed()
    known = own | set(renamed)
    out = []
    for t in triples:
        subject, predicate = _subject(t), t.predicate.value
        if subject in known and predicate in computed:
            continue  # the reading says it, in today's form
        if renamed.get(subject) in session.inventory.by_iri and predicate == _TYPE and _value(t.object).startswith(GQ):
            continue  # the graph says what kind of sign it is
        about = ox.NamedNode(renamed[subject]) if subject in renamed else t.subject
        value = _value(t.object)
        target = ox.NamedNode(renamed[value]) if isinstance(t.object, ox.NamedNode) and value in renamed else t.object
        out.append(ox.Triple(about, t.predicate, target))
    return list(dict.fromkeys([*out, *extra])), renamed


def _recognised(triples: list[Triple], session: GraphSession) -> tuple[set[str], dict[str, str], list[Triple]]:
    """Which resources are notations by their names.

    Returns:
        those that have their right IRI already, the old IRI to the right one of the others, and what must be stated.
    """
    import pyoxigraph as ox

    from guqin_kg.graph.edit import OWN_SOURCE, own_source
    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.notation.parse import parse
    from guqin_kg.notation.rdf import to_triples

    names = {_subject(t): _value(t.object) for t in triples if t.predicate.value == GQ + "notationName"}
    signs = {_subject(t) for t in triples if t.predicate.value == GQ + "grammarRole"}
    published = {_subject(t) for t in triples if t.predicate.value == _TYPE and _value(t.object) == _BASE}
    sourced = {_subject(t) for t in triples if t.predicate.value == _SOURCE}
    own, renamed = set[str](), dict[str, str]()
    extra: list[Triple] = []
    for subject, name in names.items():
        if subject in signs or subject in session.inventory.by_iri:
            continue
        iri = _base_named(name, session) if subject in published else None
        if iri is None:
            try:
                notation = parse(name, session.grammar)
            except GuqinKGError:
                continue
            iri = notation_iri(notation, session.grammar)
            extra += to_triples(notation, session.grammar)
            if subject not in sourced:
                extra += [*own_source(), ox.Triple(ox.NamedNode(iri), ox.NamedNode(_SOURCE), ox.NamedNode(OWN_SOURCE))]
        if subject == iri:
            own.add(subject)
            continue
        renamed[subject] = iri
        extra.append(ox.Triple(ox.NamedNode(iri), ox.NamedNode(_IDENTIFIER), ox.Literal(subject)))
    return own, renamed, extra


def _base_named(name: str, session: GraphSession) -> str | None:
    """The IRI of the graph's one base notation of that name; None where there is none, or where there are several."""
    found = session.inventory.named(name)
    return found[0].iri if len(found) == 1 else None


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

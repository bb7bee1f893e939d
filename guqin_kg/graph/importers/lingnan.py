"""The Lingnan Guqin Dataset: persons, works and editions, transmission, instruments and who held them.

刘峻铄 (2026), 岭南琴学数据集 / Lingnan Guqin Dataset v1.4.1, CC BY 4.0, doi 10.5281/zenodo.20995533.  The folder holds
five CSV files, of which ``persons_unified.csv`` and ``works_scores.csv`` are needed and the others used when there.

What the tables mix is told apart: a printed collection becomes a work and a dated edition of it (two editions of one
title share the work), a lost original becomes the notation of a piece, a transmitter becomes a person, and a row that
the data mark as several people becomes a group.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import DataError
from guqin_kg.inventory import GQ, GQR

if TYPE_CHECKING:
    from pyoxigraph import Triple

_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
_NOTE = "http://www.w3.org/2004/02/skos/core#note"
_DEFINITION = "http://www.w3.org/2004/02/skos/core#definition"
_DCT = "http://purl.org/dc/terms/"
_FOAF = "http://xmlns.com/foaf/0.1/"
_SCHEMA = "https://schema.org/"
_XSD = "http://www.w3.org/2001/XMLSchema#"
SOURCE = GQR + "source-lingnan"
_TITLED = re.compile(r"(?:[^·(（《》]{1,3}·)?《?([^()（）《》·]+)》?(?:[（(]([^()（）]*)[)）])?\Z")
#: Kinds of row in ``works_scores.csv`` (any other is the lost original of a piece).
_COLLECTION, _TRANSMITTER = "琴谱集", "关键传谱人"
#: Columns of the five tables, in order; further columns are not used.
_COLUMNS = {
    "persons_unified.csv": "id name others dynasty period prefecture home district lat lng "
    "circle node degree in_network on_map group deeds mark",
    "works_scores.csv": "id name kind dynasty year local remark",
    "transmission_edges.csv": "piece source_id source target_id target change weight",
    "instruments.csv": "name order holder period year act where remark inscription poem",
    "palladio_edges.csv": "source target relation weight",
}
_GROUP_MARK = "群体"


@dataclass
class Lingnan:
    """What was read.

    Attributes:
        triples: the statements.
        counts: how many of each kind.
        problems: rows left out: file, row (1-based, header not counted), reason.
    """

    triples: list[Triple] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)


class _Writer:
    def __init__(self) -> None:
        self.result = Lingnan()

    def count(self, kind: str) -> None:
        self.result.counts[kind] = self.result.counts.get(kind, 0) + 1

    def leave_out(self, file: str, row: int, reason: str) -> None:
        self.result.problems.append({"file": file, "row": row, "reason": reason})

    def link(self, subject: str, predicate: str, target: str) -> None:
        import pyoxigraph as ox

        self.result.triples.append(ox.Triple(ox.NamedNode(subject), ox.NamedNode(predicate), ox.NamedNode(target)))

    def say(
        self, subject: str, predicate: str, text: str | None, *, lang: str | None = None, kind: str | None = None
    ) -> None:
        import pyoxigraph as ox

        text = (text or "").strip()
        if not text:
            return
        value = (
            ox.Literal(text, language=lang)
            if lang
            else ox.Literal(text, datatype=ox.NamedNode(_XSD + (kind or "string")))
        )
        self.result.triples.append(ox.Triple(ox.NamedNode(subject), ox.NamedNode(predicate), value))

    def start(self, iri: str, classes: tuple[str, ...], name: str, english: str) -> None:
        """Type, label in both languages and source of a new resource."""
        for cls in classes:
            self.link(iri, _TYPE, cls)
        self.say(iri, _LABEL, name, lang="zh")
        self.say(iri, _LABEL, f"{name} ({english})", lang="en")
        self.link(iri, _DCT + "source", SOURCE)


def _rows(path: Path, delimiter: str = ",") -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table, numbered from 1, by our names of its columns; the header is checked for their number only.

    Raises:
        DataError: the file is missing, not UTF-8, or has too few columns.
    """
    if not path.is_file():
        raise DataError(
            f"{path.name} is missing", code="missing-file", file=path, hint="give the folder of the Lingnan data"
        )
    names = _COLUMNS[path.name].split()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            header = next(reader, [])
            if len(header) < len(names):
                raise DataError(
                    f"{path.name} has {len(header)} columns, {len(names)} are expected",
                    code="wrong-table",
                    file=path,
                    line=1,
                    hint="this reads version 1.4.1 of the data",
                )
            for number, cells in enumerate(reader, start=1):
                padded = [c.strip() for c in cells] + [""] * len(names)
                yield number, dict(zip(names, padded, strict=False))
    except UnicodeDecodeError:
        raise DataError(f"{path.name} is not UTF-8", code="encoding", file=path, hint="save it as UTF-8") from None


def read(folder: Path) -> Lingnan:
    """Read the data set's folder into statements of the graph.

    Raises:
        DataError: a needed file is missing or cannot be decoded.
    """
    out = _Writer()
    _source(out)
    persons = _persons(out, folder / "persons_unified.csv")
    scores = _works(out, folder / "works_scores.csv")
    for name, reader in (
        ("transmission_edges.csv", lambda p: _transmission(out, p, scores)),
        ("instruments.csv", lambda p: _instruments(out, p, persons)),
        ("palladio_edges.csv", lambda p: _relations(out, p, persons)),
    ):
        if (folder / name).is_file():
            reader(folder / name)
    return out.result


def _source(out: _Writer) -> None:
    out.link(SOURCE, _TYPE, GQ + "Source")
    out.say(SOURCE, _LABEL, "岭南琴学数据集", lang="zh")
    out.say(SOURCE, _LABEL, "Lingnan Guqin Dataset", lang="en")
    out.say(SOURCE, _DEFINITION, "岭南琴人、琴谱与传承的数据集（刘峻铄，1.4.1 版）。", lang="zh")
    out.say(
        SOURCE, _DEFINITION, "Data on the players, scores and transmission of Lingnan (Liu Junshuo, 1.4.1).", lang="en"
    )
    out.say(SOURCE, _DCT + "title", "岭南琴学数据集 / Lingnan Guqin Dataset")
    out.say(
        SOURCE,
        _DCT + "bibliographicCitation",
        "刘峻铄 (2026), 岭南琴学数据集 / Lingnan Guqin Dataset v1.4.1, CC BY 4.0. doi:10.5281/zenodo.20995533",
    )
    out.link(SOURCE, _DCT + "license", "https://creativecommons.org/licenses/by/4.0/")
    out.link(SOURCE, _FOAF + "page", "https://doi.org/10.5281/zenodo.20995533")
    out.link(SOURCE, GQ + "confidence", GQ + "HighConfidence")
    out.link(SOURCE, _DCT + "source", SOURCE)


def _persons(out: _Writer, path: Path) -> dict[str, str]:
    """Persons and groups; returns name (and other names) to IRI."""
    known: dict[str, str] = {}
    for number, row in _rows(path):
        key, name = row["id"], row["name"]
        if not re.fullmatch(r"P\d+", key) or not name:
            out.leave_out(path.name, number, "no id of the form P001, or no name")
            continue
        iri = f"{GQR}lingnan-person-{key}"
        group = _GROUP_MARK in row["mark"]
        kind = _FOAF + "Group" if group else GQ + "Person"
        out.start(iri, (kind,), name, f"{'group' if group else 'person'} {key} of the Lingnan data")
        out.count("groups" if group else "persons")
        out.say(iri, _FOAF + "name", name)
        known.setdefault(name, iri)
        for other in re.split(r"[、；;，,/]", row["others"]):
            if other.strip():
                out.say(iri, GQ + "abbreviateName", other)
                known.setdefault(other.strip(), iri)
        out.say(iri, GQ + "dynasty", row["dynasty"])
        out.say(iri, GQ + "period", row["period"])
        out.say(iri, GQ + "placeName", row["home"])
        out.say(iri, _DCT + "description", row["deeds"], lang="zh")
        for column, term in (("lat", "latitude"), ("lng", "longitude")):
            if re.fullmatch(r"-?\d+(\.\d+)?", row[column]):
                out.say(iri, _SCHEMA + term, row[column], kind="decimal")
        if mark := row["mark"]:
            out.say(iri, _NOTE, mark, lang="zh")
    return known


def _title(text: str) -> str:
    """The bare title: without dynasty before it, quotation marks and the year after it."""
    found = _TITLED.match(text.strip())
    return found[1].strip() if found else text.strip()


def _works(out: _Writer, path: Path) -> dict[str, str]:
    """Works, editions, originals and transmitters; returns score id to IRI."""
    ids: dict[str, str] = {}
    works: dict[str, str] = {}
    for number, row in _rows(path):
        key, name, kind = (row[c] for c in ("id", "name", "kind"))
        if not re.fullmatch(r"S\d+", key) or not name or not kind:
            out.leave_out(path.name, number, "no id of the form S001, no name, or no kind")
            continue
        if kind == _COLLECTION:
            title = _title(name)
            iri = f"{GQR}lingnan-edition-{key}"
            out.start(iri, (GQ + "Instance",), name, f"edition {key} of the Lingnan data")
            out.count("editions")
            out.say(iri, _DCT + "title", title, lang="zh")
            if title not in works:
                works[title] = f"{GQR}lingnan-work-{key}"
                out.start(works[title], (GQ + "Work",), title, f"work {key} of the Lingnan data")
                out.say(works[title], _DCT + "title", title, lang="zh")
                out.count("works")
            out.link(iri, GQ + "isInstanceOf", works[title])
            year = row["year"]
            if re.fullmatch(r"\d{3,4}", year):
                out.say(iri, _DCT + "created", year.zfill(4), kind="gYear")
                out.say(iri, GQ + "year", str(int(year)), kind="integer")
        elif kind == _TRANSMITTER:
            iri = f"{GQR}lingnan-transmitter-{key}"
            out.start(iri, (GQ + "Person",), name, f"transmitter {key} of the Lingnan data")
            out.say(iri, _FOAF + "name", name)
            out.count("transmitters")
        else:
            iri = f"{GQR}lingnan-original-{key}"
            out.start(iri, (GQ + "MusicNotation",), name, f"original {key} of the Lingnan data")
            out.count("originals")
        out.say(iri, GQ + "dynasty", row["dynasty"])
        out.say(iri, GQ + "resourceType", kind)
        out.say(iri, _DCT + "description", row["remark"], lang="zh")
        ids[key] = iri
    return ids


def _transmission(out: _Writer, path: Path, scores: dict[str, str]) -> None:
    pieces: dict[str, str] = {}
    for number, row in _rows(path):
        piece = row["piece"]
        first, second = (scores.get(row[c]) for c in ("source_id", "target_id"))
        if not piece or first is None or second is None:
            out.leave_out(path.name, number, "no piece, or a score that works_scores.csv does not have")
            continue
        if piece not in pieces:
            pieces[piece] = f"{GQR}lingnan-music-{len(pieces) + 1}"
            out.start(pieces[piece], (GQ + "Music",), piece, "piece in the Lingnan data")
            out.say(pieces[piece], _DCT + "title", piece, lang="zh")
            out.count("pieces")
        if "/lingnan-original-" in first:
            out.link(pieces[piece], GQ + "hasMusicNotation", first)
        iri = f"{GQR}lingnan-transmission-{number}"
        names = f"{row['source']} → {row['target']}"
        out.start(iri, (GQ + "Transmission",), f"{piece}：{names}", "transmission")
        out.link(iri, GQ + "transmitsMusic", pieces[piece])
        out.link(iri, GQ + "relationFrom", first)
        out.link(iri, GQ + "relationTo", second)
        out.say(iri, _DCT + "description", row["change"], lang="zh")
        if row["weight"].isdigit():
            out.say(iri, GQ + "weight", row["weight"], kind="integer")
        out.count("transmissions")


def _instruments(out: _Writer, path: Path, persons: dict[str, str]) -> None:
    seen: dict[str, str] = {}
    for number, row in _rows(path):
        name, order = row["name"], row["order"]
        if not name or not order.isdigit():
            out.leave_out(path.name, number, "no name of an instrument, or no order")
            continue
        if name not in seen:
            seen[name] = f"{GQR}lingnan-instrument-{len(seen) + 1}"
            out.start(seen[name], (GQ + "Instrument",), name, "instrument in the Lingnan data")
            out.count("instruments")
        for column in ("inscription", "poem"):
            out.say(seen[name], _NOTE, row[column], lang="zh")
        iri = f"{seen[name]}-{order}"
        holder = row["holder"]
        out.start(iri, (GQ + "Ownership",), f"{name}：{holder or '?'}", f"holder {order}")
        out.link(iri, GQ + "ownedInstrument", seen[name])
        out.say(iri, GQ + "sequence", order, kind="integer")
        if holder in persons:
            out.link(iri, GQ + "owner", persons[holder])
        else:
            out.say(iri, "http://purl.org/dc/elements/1.1/creator", holder)
        out.say(iri, GQ + "period", row["period"])
        if re.fullmatch(r"\d{3,4}", row["year"]):
            out.say(iri, GQ + "year", str(int(row["year"])), kind="integer")
        out.say(iri, GQ + "relationName", row["act"])
        out.say(iri, _DCT + "bibliographicCitation", row["where"])
        out.say(iri, _DCT + "description", row["remark"], lang="zh")
        out.count("ownerships")


def _relations(out: _Writer, path: Path, persons: dict[str, str]) -> None:
    for number, row in _rows(path, ";"):
        first, second = (row[c] for c in ("source", "target"))
        if first not in persons or second not in persons:
            out.leave_out(path.name, number, "a person that persons_unified.csv does not have")
            continue
        iri = f"{GQR}lingnan-relation-{number}"
        out.start(iri, (GQ + "Relation",), f"{first} → {second}", "relation between persons")
        out.link(iri, GQ + "relationFrom", persons[first])
        out.link(iri, GQ + "relationTo", persons[second])
        out.say(iri, GQ + "relationName", row["relation"])
        if row["weight"].isdigit():
            out.say(iri, GQ + "weight", row["weight"], kind="integer")
        out.count("relations")

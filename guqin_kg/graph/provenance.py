"""Who changed the workspace graph, when and what: PROV-O statements in ``graph/provenance.ttl``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from guqin_kg.graph.serialise import format_triples
from guqin_kg.inventory import GQR

if TYPE_CHECKING:
    from pyoxigraph import Triple

FILE = "provenance.ttl"
_PROV = "http://www.w3.org/ns/prov#"
_RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_RDFS_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
_XSD = "http://www.w3.org/2001/XMLSchema#"
_DCT_SOURCE = "http://purl.org/dc/terms/source"
_PREFIXES = {
    "dct": "http://purl.org/dc/terms/",
    "gqr": GQR,
    "prov": _PROV,
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": _XSD,
}
_HEAD = (
    "# What was done to this graph, one activity a block, in order. `guqin add`, `remove` and `import` append here.\n\n"
)


def now() -> datetime:
    """The time an edit is dated to; ``SOURCE_DATE_EPOCH`` decides where it is set."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)


def activity(
    label_zh: str,
    label_en: str,
    *,
    generated: Iterable[str] = (),
    invalidated: Iterable[str] = (),
    source: str | None = None,
) -> tuple[str, list[Triple]]:
    """The IRI and the statements of one activity."""
    import pyoxigraph as ox

    when = now().replace(microsecond=0)
    generated, invalidated = sorted(set(generated)), sorted(set(invalidated))
    mark = blake2b("\n".join([label_en, *generated, "", *invalidated]).encode(), digest_size=4).hexdigest()
    iri = f"{GQR}activity-{when:%Y%m%dT%H%M%SZ}-{mark}"
    node, agent = ox.NamedNode(iri), ox.NamedNode(GQR + "agent-guqin-kg")

    def prov(term: str) -> ox.NamedNode:
        return ox.NamedNode(_PROV + term)

    kind, label = ox.NamedNode(_RDF_TYPE), ox.NamedNode(_RDFS_LABEL)
    rows = [
        ox.Triple(node, kind, prov("Activity")),
        ox.Triple(node, label, ox.Literal(label_zh, language="zh")),
        ox.Triple(node, label, ox.Literal(label_en, language="en")),
        ox.Triple(
            node,
            prov("endedAtTime"),
            ox.Literal(when.isoformat().replace("+00:00", "Z"), datatype=ox.NamedNode(_XSD + "dateTime")),
        ),
        ox.Triple(node, prov("wasAssociatedWith"), agent),
    ]
    rows += [ox.Triple(node, prov("generated"), ox.NamedNode(i)) for i in generated]
    rows += [ox.Triple(node, prov("invalidated"), ox.NamedNode(i)) for i in invalidated]
    if source:
        rows.append(ox.Triple(node, prov("used"), ox.NamedNode(source)))
    return iri, rows


def appended(path: Path, triples: list[Triple]) -> bytes:
    """The contents of the provenance file with ``triples`` after what it holds."""
    import pyoxigraph as ox

    block = re.sub(r"(?m)^@prefix .*\n", "", format_triples(triples, _PREFIXES)).strip("\n") + "\n"
    if path.exists():
        return path.read_bytes().rstrip(b"\n") + b"\n\n" + block.encode()
    agent = ox.NamedNode(GQR + "agent-guqin-kg")
    first = [
        ox.Triple(agent, ox.NamedNode(_RDF_TYPE), ox.NamedNode(_PROV + "SoftwareAgent")),
        ox.Triple(agent, ox.NamedNode(_RDFS_LABEL), ox.Literal("guqin-kg")),
    ]
    table = "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in sorted(_PREFIXES.items()))
    start = re.sub(r"(?m)^@prefix .*\n", "", format_triples(first, _PREFIXES)).strip("\n")
    return (_HEAD + table + "\n" + start + "\n\n" + block).encode()

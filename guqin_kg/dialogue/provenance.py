"""PROV-O beside the records: from which graph, templates and queries, by which version, they were made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.graph.journal import write_file
from guqin_kg.inventory import GQR

if TYPE_CHECKING:
    from guqin_kg.dialogue.output import Entry

PROV = "http://www.w3.org/ns/prov#"
DCT = "http://purl.org/dc/terms/"
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"


def write_provenance(folder: Path, entries: Iterable[Entry], sets: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write ``provenance.ttl``: the same inputs give the same bytes, so it names no time of day.

    Args:
        entries: all records, as they lie now.
        sets: how each set was made (graph hash, templates and queries with their hashes, seed, version).
    """
    import pyoxigraph as ox

    from guqin_kg.graph.serialise import format_triples
    from guqin_kg.query.terms import prefixes

    triples: list[Any] = []

    def node(text: str) -> Any:
        return ox.NamedNode(text)

    def say(subject: str, predicate: str, value: Any) -> None:
        triples.append(ox.Triple(node(subject), node(predicate), value))

    groups: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        key = "/".join(entry.id.split("/")[:2])
        groups.setdefault((key, entry.split), []).append(entry.fingerprint)
    for name, made in sorted(sets.items()):
        text = json.dumps(made, sort_keys=True, ensure_ascii=False)
        activity = f"{GQR}generation-{hashlib.blake2b((name + text).encode(), digest_size=8).hexdigest()}"
        agent = f"{GQR}agent-guqin-kg-{made['version']}"
        graph = f"{GQR}graph-{made['graph']}"
        say(activity, _TYPE, node(PROV + "Activity"))
        say(activity, _LABEL, ox.Literal(f"dialogue set {name}, seed {made['seed']}", language="en"))
        say(activity, _LABEL, ox.Literal(f"生成对话集 {name}，种子 {made['seed']}", language="zh"))
        say(activity, PROV + "wasAssociatedWith", node(agent))
        say(agent, _TYPE, node(PROV + "SoftwareAgent"))
        say(agent, _LABEL, ox.Literal(f"guqin-kg {made['version']}", language="en"))
        say(activity, PROV + "used", node(graph))
        say(graph, _TYPE, node(PROV + "Entity"))
        say(graph, DCT + "identifier", ox.Literal(made["graph"]))
        for kind in ("templates", "queries"):
            for title, digest in made[kind].items():
                plan = f"{GQR}{kind}-{title.replace('/', '-')}-{digest[:12]}"
                say(activity, PROV + "used", node(plan))
                say(plan, _TYPE, node(PROV + "Entity"))
                say(plan, DCT + "title", ox.Literal(title))
                say(plan, DCT + "identifier", ox.Literal(digest))
        for (group, split), prints in sorted(groups.items()):
            if group != name:
                continue
            digest = hashlib.blake2b("".join(sorted(prints)).encode(), digest_size=8).hexdigest()
            entity = f"{GQR}dialogues-{name.replace('/', '-')}-{split}-{digest}"
            say(entity, _TYPE, node(PROV + "Entity"))
            say(entity, PROV + "wasGeneratedBy", node(activity))
            say(entity, PROV + "wasDerivedFrom", node(graph))
            say(entity, DCT + "title", ox.Literal(f"dialogues/{split}.jsonl, set {name}"))
            say(entity, DCT + "extent", ox.Literal(f"{len(prints)} records"))
    path = folder / "provenance.ttl"
    write_file(path, format_triples(triples, prefixes()).encode())
    return path

"""Make the store from ontology, curated set, lexicon and the workspace's own statements.

A build compares the hashes of its inputs with those of the generation in use.  Nothing changed: nothing is done.  Only
workspace files changed: their old and new statements are compared and the difference is applied.  Else all is made
anew.  Either way the new generation
is published in one step.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from guqin_kg import resources
from guqin_kg.graph import journal
from guqin_kg.graph.derive import INPUTS, positions
from guqin_kg.graph.diff import Delta, from_lines, record, to_lines
from guqin_kg.graph.expand import PROPERTY_KINDS, Schema, expand, read_schema
from guqin_kg.graph.lock import writing
from guqin_kg.graph.sources import read_triples
from guqin_kg.graph.store import (
    FORMAT,
    Generation,
    current,
    keep_changes,
    next_generation,
    publish,
    statement_hash,
    store_hash,
)
from guqin_kg.graph.workspace import Workspace
from guqin_kg.inventory import GQ, Inventory

if TYPE_CHECKING:
    from pyoxigraph import Store, Triple

Say = Callable[[str], None]
_RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_COMPARE_LIMIT = 300_000


@dataclass(frozen=True)
class Input:
    """One file that goes into the store."""

    kind: Literal["ontology", "workspace"]
    key: str
    path: Path
    size: int
    mtime: int
    digest: str

    def row(self) -> dict[str, Any]:
        """For the manifest."""
        return {"kind": self.kind, "key": self.key, "size": self.size, "mtime": self.mtime, "digest": self.digest}


@dataclass
class BuildReport:
    """What a build did.

    Attributes:
        action: ``none`` (nothing had changed), ``edit`` (a difference was applied) or ``full``.
        content: hash of the set of statements.
        counts: statements, notations, base notations, files.
        added, removed: statements, where known.
        seconds: wall clock.
    """

    action: Literal["none", "edit", "full"]
    content: str
    counts: dict[str, int]
    store: str
    added: int | None = None
    removed: int | None = None
    seconds: float = 0.0
    files: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """JSON-able form."""
        return dict(vars(self))


def scan(ws: Workspace, known: Iterable[dict[str, Any]] = ()) -> list[Input]:
    """The input files with their hashes; files whose size and time are as recorded are not read again."""
    seen = {(r["kind"], r["key"]): r for r in known}
    files = ws.ontology_files()
    base = _common_root(files)
    found: list[tuple[Literal["ontology", "workspace"], str, Path]] = [
        ("ontology", p.relative_to(base).as_posix(), p) for p in files
    ]
    found += [("workspace", p.relative_to(ws.graph).as_posix(), p) for p in ws.graph_files()]
    out = []
    for kind, key, path in found:
        stat = path.stat()
        row = seen.get((kind, key))
        if row and (row["size"], row["mtime"]) == (stat.st_size, stat.st_mtime_ns):
            digest = row["digest"]
        elif stat.st_size > ws.max_bytes:
            digest = f"too-large-{stat.st_size}-{stat.st_mtime_ns}"
        else:
            digest = blake2b(path.read_bytes(), digest_size=16).hexdigest()
        out.append(Input(kind, key, path, stat.st_size, stat.st_mtime_ns, digest))
    return out


def _common_root(files: list[Path]) -> Path:
    root = resources.folder("ontology")
    if files and not files[0].is_relative_to(root):
        root = files[0].parent
        while not all(f.is_relative_to(root) for f in files):
            root = root.parent
    return root


def code_hash(lexicon: str) -> str:
    """Hash of the modules that decide what a file or the lexicon turns into: a new release makes the store anew."""
    here = Path(__file__).resolve().parent.parent
    files = [here / "graph" / n for n in ("expand.py", "derive.py", "build.py", "sources.py")]
    files.append(here / "sound" / "position.py")
    if lexicon == "full":
        files += sorted((here / "notation").glob("*.py"))
    return resources.digest([f for f in files if f.exists()])


def _fixed_key(inputs: Iterable[Input], lexicon: str) -> str:
    h = blake2b(f"{FORMAT} {lexicon} {code_hash(lexicon)}".encode(), digest_size=16)
    for i in inputs:
        if i.kind == "ontology":
            h.update(f"{i.key} {i.digest}\n".encode())
    return h.hexdigest()


def is_current(ws: Workspace, lexicon: str | None = None) -> Generation | None:
    """The generation in use if its inputs are as they were, else None.  Reads no file whose size and time are known."""
    generation = current(ws.state)
    if generation is None or (ws.state / "journal" / "journal.json").exists():
        return None
    inputs = scan(ws, generation.manifest["inputs"])
    mode = lexicon or ws.settings.lexicon
    same = {(r["kind"], r["key"], r["digest"]) for r in generation.manifest["inputs"]}
    if generation.manifest["fixed"] == _fixed_key(inputs, mode) and same == {(i.kind, i.key, i.digest) for i in inputs}:
        return generation
    return None


def build(
    ws: Workspace, *, lexicon: str | None = None, force: bool = False, say: Say | None = None
) -> tuple[Generation, BuildReport]:
    """Bring the store up to date.

    Args:
        ws: the workspace.
        lexicon: ``none`` or ``full``; default what its settings say.
        force: make everything anew.
        say: told what is going on.

    Raises:
        GraphSyntaxError, UnsafeInputError, LimitError: a file is broken, holds what it may not, or is too large.
        StoreLockedError: another process writes.
    """
    started = time.perf_counter()
    if not force and (generation := is_current(ws, lexicon)) is not None:
        return generation, _report("none", generation, started)
    with writing(ws.state, ws.settings.lock_seconds, say):
        journal.recover(ws.state, ws.root)
        return build_locked(ws, lexicon=lexicon, force=force, say=say, started=started)


def build_locked(
    ws: Workspace,
    *,
    lexicon: str | None = None,
    force: bool = False,
    say: Say | None = None,
    started: float | None = None,
) -> tuple[Generation, BuildReport]:
    """``build`` for callers that hold the writer's lock."""
    started = time.perf_counter() if started is None else started
    mode = lexicon or ws.settings.lexicon
    old = None if force else current(ws.state)
    inputs = scan(ws, old.manifest["inputs"] if old else ())
    fixed = _fixed_key(inputs, mode)
    if old is not None and old.manifest["fixed"] == fixed:
        before = {r["key"]: r["digest"] for r in old.manifest["inputs"] if r["kind"] == "workspace"}
        after = {i.key: i.digest for i in inputs if i.kind == "workspace"}
        if before == after:
            return old, _report("none", old, started)
        touched = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
        done = _edit(ws, old, inputs, touched, fixed, mode)
        if done is not None:
            return done[0], _report("edit", done[0], started, done[1], touched)
    generation, delta = _full(ws, inputs, fixed, mode, say)
    return generation, _report("full", generation, started, delta)


def _report(
    action: Literal["none", "edit", "full"],
    generation: Generation,
    started: float,
    delta: Delta | None = None,
    files: list[str] | None = None,
) -> BuildReport:
    return BuildReport(
        action,
        generation.content_hash,
        dict(generation.manifest["counts"]),
        str(generation.database),
        len(delta.added) if delta is not None else 0 if action == "none" else None,
        len(delta.removed) if delta is not None else 0 if action == "none" else None,
        round(time.perf_counter() - started, 3),
        files or [],
    )


def _read(ws: Workspace, source: Input) -> list[Triple]:
    mine = source.kind == "workspace"
    return read_triples(source.path, max_bytes=ws.max_bytes, guarded=mine, anonymous=mine)


def _canonical(triples: Iterable[Triple]) -> set[Triple]:
    """As the store writes them back (it normalises numbers)."""
    import pyoxigraph as ox

    store = ox.Store()
    store.extend(ox.Quad(t.subject, t.predicate, t.object) for t in triples)
    return {q.triple for q in store}


def _snapshot(folder: Path, key: str) -> Path:
    return folder / "sources" / (blake2b(key.encode(), digest_size=12).hexdigest() + ".nt")


def _inventory(ws: Workspace, inputs: Iterable[Input]) -> Inventory:
    from guqin_kg.inventory import load_inventory

    extra = [i.path for i in inputs if i.kind == "workspace" and i.path.suffix == ".ttl"]
    return load_inventory(extra, base=ws.ontology_files())


def _full(
    ws: Workspace, inputs: list[Input], fixed: str, mode: str, say: Say | None
) -> tuple[Generation, Delta | None]:
    import pyoxigraph as ox

    previous = current(ws.state)
    read = [(i, _read(ws, i)) for i in inputs]
    schema = read_schema(t for i, triples in read if i.kind == "ontology" for t in triples)
    inventory = _inventory(ws, inputs)
    with next_generation(ws.state, None) as folder:
        (folder / "sources").mkdir()
        store = ox.Store(str(folder / "db"))
        base: set[Triple] = set()
        for i, triples in read:
            if i.kind == "ontology":
                base |= _canonical(expand(triples, schema))
        base |= _canonical(expand(positions(inventory), schema))
        _load(store, base)
        if mode == "full":
            _load_lexicon(store, inventory, schema, say)
        overlap: set[Triple] = set()
        mine: set[Triple] = set()
        for i, triples in read:
            if i.kind == "workspace":
                own = _canonical(expand(triples, schema))
                _snapshot(folder, i.key).write_bytes(to_lines(own))
                mine |= own
        overlap = {t for t in mine if ox.Quad(t.subject, t.predicate, t.object) in store}
        (folder / "overlap.nt").write_bytes(to_lines(overlap))
        _load(store, mine)
        store.flush()
        store.optimize()
        total, statements = store_hash(store, folder)
        manifest = _manifest(inputs, fixed, mode, total, _counts(store, statements, inputs))
        delta = _compare(previous, store) if previous else None
        del store
        generation = publish(ws.state, folder, manifest)
    if previous is not None and delta is not None:
        record(ws.state, previous.content_hash, generation.content_hash, delta)
    return generation, delta


def _load(store: Store, triples: Iterable[Triple]) -> None:
    import pyoxigraph as ox

    store.bulk_extend(ox.Quad(t.subject, t.predicate, t.object) for t in triples)


def _compare(previous: Generation, store: Store) -> Delta | None:
    """The difference of two whole stores, where they are small enough to hold both."""
    if previous.manifest["counts"]["statements"] > _COMPARE_LIMIT or len(store) > _COMPARE_LIMIT:
        return None
    try:
        before = {q.triple for q in previous.store}
    except Exception:
        return None
    after = {q.triple for q in store}
    return Delta(after - before, before - after)


def _load_lexicon(store: Store, inventory: Inventory, schema: Schema, say: Say | None) -> None:
    from guqin_kg.graph.lexicon import lexicon_lines

    if say:
        say("composing the lexicon …")
    import pyoxigraph as ox

    buffer = io.BytesIO()
    for lines in lexicon_lines(inventory, schema):
        buffer.write(lines)
    buffer.seek(0)
    store.bulk_load(buffer, ox.RdfFormat.N_TRIPLES)


def _manifest(inputs: list[Input], fixed: str, mode: str, total: int, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "fixed": fixed,
        "lexicon": mode,
        "content": f"{total:032x}",
        "counts": counts,
        "inputs": [i.row() for i in inputs],
    }


def _counts(store: Store, statements: int, inputs: list[Input]) -> dict[str, int]:
    import pyoxigraph as ox

    def instances(name: str) -> int:
        kind, cls = ox.NamedNode(_RDF_TYPE), ox.NamedNode(GQ + name)
        return sum(1 for _ in store.quads_for_pattern(None, kind, cls))

    return {
        "statements": statements,
        "base_notations": instances("BasicNotation"),
        "notations": instances("CompoundNotation"),
        "files": len(inputs),
    }


def _counts_after(before: Mapping[str, int], delta: Delta, inputs: list[Input]) -> dict[str, int]:
    """The counts of :func:`_counts` after an edit, from what it changed."""

    def more(name: str) -> int:
        def instances(triples: Iterable[Triple]) -> int:
            return sum(t.predicate.value == _RDF_TYPE and getattr(t.object, "value", "") == GQ + name for t in triples)

        return instances(delta.added) - instances(delta.removed)

    return {
        "statements": before["statements"] + len(delta.added) - len(delta.removed),
        "base_notations": before["base_notations"] + more("BasicNotation"),
        "notations": before["notations"] + more("CompoundNotation"),
        "files": len(inputs),
    }


def _edit(
    ws: Workspace, old: Generation, inputs: list[Input], touched: list[str], fixed: str, mode: str
) -> tuple[Generation, Delta] | None:
    """Apply the difference of the touched workspace files; None when a full build is needed."""
    import pyoxigraph as ox

    present = {i.key: i for i in inputs if i.kind == "workspace"}
    untouched = [k for k in present if k not in touched]
    new = {k: _read(ws, present[k]) for k in touched if k in present}
    schema = schema_of(old)
    after_files = {k: _canonical(expand(t, schema)) for k, t in new.items()}
    before: set[Triple] = set()
    for key in touched:
        if _snapshot(old.folder, key).exists():
            before |= from_lines(_snapshot(old.folder, key).read_bytes())
    after: set[Triple] = set().union(*after_files.values()) if after_files else set()
    overlap = from_lines((old.folder / "overlap.nt").read_bytes())
    gone, come = before - after, after - before
    if gone or come:
        others: set[Triple] = set()
        for key in untouched:
            others |= from_lines(_snapshot(old.folder, key).read_bytes())
        gone -= others
        come -= others
    held = {t for t in come if ox.Quad(t.subject, t.predicate, t.object) in old.store}
    delta = Delta(come - held, gone - overlap)
    if _needs_full(old.store, delta, mode):
        return None
    with next_generation(ws.state, old) as folder:
        for key in touched:
            _snapshot(folder, key).unlink(missing_ok=True)
        for key, triples in after_files.items():
            _snapshot(folder, key).write_bytes(to_lines(triples))
        (folder / "overlap.nt").write_bytes(to_lines((overlap - gone) | held))
        store = ox.Store(str(folder / "db"))
        for t in delta.removed:
            store.remove(ox.Quad(t.subject, t.predicate, t.object))
        store.extend(ox.Quad(t.subject, t.predicate, t.object) for t in delta.added)
        store.flush()
        keep_changes(folder, delta.added, delta.removed)
        total = int(old.manifest["content"], 16) + statement_hash(delta.added) - statement_hash(delta.removed)
        counts = _counts_after(old.manifest["counts"], delta, inputs)
        del store
        manifest = _manifest(inputs, fixed, mode, total % (1 << 128), counts)
        generation = publish(ws.state, folder, manifest)
    record(ws.state, old.content_hash, generation.content_hash, delta)
    return generation, delta


def _needs_full(store: Store, delta: Delta, mode: str) -> bool:
    """Whether a change reaches what is worked out from the whole graph: positions, or the lexicon."""
    import pyoxigraph as ox

    watched = {*INPUTS, *([GQ + "BasicNotation"] if mode == "full" else [])}
    kind = ox.NamedNode(_RDF_TYPE)
    stated = {
        (t.subject, getattr(t.object, "value", "")) for t in (*delta.added, *delta.removed) if t.predicate == kind
    }
    subjects = {t.subject for t in (*delta.added, *delta.removed)}
    if any(cls in watched for _, cls in stated):
        return True
    return any(ox.Quad(s, kind, ox.NamedNode(cls)) in store for s in subjects for cls in watched)


def schema_of(generation: Generation) -> Schema:
    """The schema, read back from the store."""
    import pyoxigraph as ox

    wanted = (
        "http://www.w3.org/2002/07/owl#deprecated",
        "http://purl.org/dc/terms/isReplacedBy",
        "http://www.w3.org/2002/07/owl#inverseOf",
        "http://www.w3.org/2000/01/rdf-schema#subClassOf",
    )
    store, kind = generation.store, ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
    stated = [store.quads_for_pattern(None, ox.NamedNode(p), None) for p in wanted]
    stated += [store.quads_for_pattern(None, kind, ox.NamedNode(p)) for p in sorted(PROPERTY_KINDS)]
    return read_schema(q.triple for quads in stated for q in quads)

"""Bring the dialogues up to date: only what an edit touched, and always the bytes of a run from nothing."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg import resources
from guqin_kg.dialogue import output
from guqin_kg.dialogue.affected import affected
from guqin_kg.dialogue.generate import RECORD_FORMAT, Maker, generate, make_views
from guqin_kg.dialogue.provenance import write_provenance
from guqin_kg.dialogue.reach import Reach, reach_of
from guqin_kg.dialogue.rows import view_of
from guqin_kg.dialogue.templates import TemplateError, load_templates
from guqin_kg.dialogue.turns import TurnSet, pick_sets, turn_sets
from guqin_kg.dialogue.worker import run_jobs
from guqin_kg.errors import NotFoundError, UsageError
from guqin_kg.query.binding import prologue
from guqin_kg.query.library import QueryLibrary

if TYPE_CHECKING:
    from guqin_kg.graph.store import Generation
    from guqin_kg.graph.workspace import Workspace
    from guqin_kg.query.spec import QuerySpec

SCOPES = ("curated", "lexicon")
#: From this many notations on, two processes share the work.
_MANY = 6_000
_PART = 1_500
_COMPOUND = "https://w3id.org/guqin/ontology#CompoundNotation>"


@dataclass
class Report:
    """What a run did (or, for a dry run, would do); ``to_json`` is the form of the contract.

    Attributes:
        total: records in the files afterwards, of all sets and languages: ``rewritten`` and ``unchanged`` together.
        rewritten: those made anew.
        unchanged: those left as they were, also because they are of other sets or languages.
        others: how many of the unchanged are of other sets or languages, so that nobody looked whether they are stale.
        removed: records no longer in the files.
        because: what made it necessary to rewrite or remove, and how many records each.
    """

    total: int = 0
    rewritten: int = 0
    unchanged: int = 0
    others: int = 0
    removed: int = 0
    because: Counter[str] = field(default_factory=Counter)
    short: int = 0
    seconds: float = 0.0
    out: str = ""
    graph_changed: bool = False

    def to_json(self) -> dict[str, Any]:
        """``{"records", "reasons", "seconds", "out"}``."""
        return {
            "records": {
                "total": self.total,
                "rewritten": self.rewritten,
                "unchanged": self.unchanged,
                "removed": self.removed,
            },
            "reasons": [
                {"because": what, "records": n}
                for what, n in sorted(self.because.items(), key=lambda item: (-item[1], item[0]))
            ],
            "seconds": round(self.seconds, 3),
            "out": self.out,
        }


def package_version() -> str:
    """The version that generates."""
    try:
        return version("guqin-kg")
    except PackageNotFoundError:
        return "0"


def library_of(ws: Workspace) -> QueryLibrary:
    """The packaged queries and those of the workspace."""
    return QueryLibrary([resources.folder("sparql"), ws.root / "sparql"])


def template_folders(ws: Workspace) -> list[Path]:
    """Where templates lie: the packaged folder, then the workspace's own."""
    return [resources.folder("templates"), ws.root / "templates"]


def scope_notations(generation: Generation, library: QueryLibrary, scope: str) -> list[tuple[str, str]]:
    """IRI and reading of the notations in ``scope``, sorted: those with a source or stated in the workspace, or all."""
    everything = scope == "lexicon" or generation.manifest.get("lexicon") != "full"
    spec = library.get("notations-all" if everything else "notations-sourced")
    ask: Callable[[str], Any] = generation.store.query
    found: dict[str, str] = {r[0].value: r[1].value for r in ask(prologue(spec.text))}
    if not everything:
        own = _stated(generation)
        if own - found.keys():
            every = library.get("notations-all")
            for row in ask(prologue(every.text)):
                if row[0].value in own:
                    found[row[0].value] = row[1].value
    return sorted(found.items())


def _in_scope(
    ws: Workspace, generation: Generation, library: QueryLibrary, scope: str, state: output.State
) -> tuple[dict[str, str], dict[str, str]]:
    """The notations in scope with their readings, and what is to be kept of that.

    Where the last run knew them for an earlier graph, only what was edited since is asked for: whether a notation is
    in the lexicon is decided by its own statements.
    """
    from guqin_kg.graph.diff import changes_since

    spec = library.get("notations-all")
    kept = {"name": f"{scope} {spec.digest}", "graph": generation.content_hash}
    packaged = Path(spec.file).is_relative_to(resources.folder("sparql"))
    if scope == "lexicon" and state.scope.get("name") == kept["name"] and packaged:
        delta = changes_since(ws.state, state.scope["graph"], generation.content_hash)
        if delta is not None:
            touched = {t.subject for t in (*delta.added, *delta.removed)}
            found = dict(state.readings)
            for subject in touched:
                found.pop(getattr(subject, "value", ""), None)
            return found | _among(generation, spec, touched), kept
    return dict(scope_notations(generation, library, scope)), kept


def _among(generation: Generation, spec: QuerySpec, nodes: Iterable[Any]) -> dict[str, str]:
    """Those of ``nodes`` that the query names, with their readings."""
    import pyoxigraph as ox

    wanted = " ".join(sorted(str(node) for node in nodes if isinstance(node, ox.NamedNode)))
    if not wanted:
        return {}
    text, count = re.subn(r"WHERE\s*\{", f"WHERE {{ VALUES ?{spec.columns[0].name} {{ {wanted} }} ", spec.text, count=1)
    assert count, spec.file
    rows: Any = generation.store.query(prologue(text))
    return {row[0].value: row[1].value for row in rows}


def _stated(generation: Generation) -> set[str]:
    """IRIs that the workspace's own files declare to be notations."""
    own = set()
    for path in sorted((generation.folder / "sources").glob("*.nt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            subject, _, rest = line.partition("> ")
            if rest.rstrip(" .").endswith(_COMPOUND):
                own.add(subject[1:])
    return own


def _describe(turns: TurnSet, library: QueryLibrary, graph: str, scope: str, seed: int, images: bool) -> dict[str, Any]:
    digests = {}
    for template in turns.templates:
        for name in (template.query, *(q for _, q in template.lookups)):
            try:
                digests[name] = library.get(name).digest
            except NotFoundError as error:
                raise TemplateError(error.message, file=template.path, line=1, hint=error.hint) from None
    return {
        "graph": graph,
        "scope": scope,
        "seed": seed,
        "images": images,
        "version": package_version(),
        "format": RECORD_FORMAT,
        "turns": turns.digest,
        "templates": {t.name: t.digest for t in turns.templates},
        "queries": dict(sorted(digests.items())),
    }


def regenerate(
    ws: Workspace,
    generation: Generation,
    *,
    which: str = "all",
    langs: Sequence[str] = ("zh",),
    scope: str = "curated",
    out: Path | None = None,
    seed: int = 0,
    images: bool = True,
    dry_run: bool = False,
    workers: int = 2,
    say: Callable[[str], None] | None = None,
) -> Report:
    """Write the records that are missing or stale and drop those whose notation is gone.

    Args:
        ws: the workspace (its templates and queries add to the packaged ones).
        generation: the store to read.
        which: a set name or ``all``.
        scope: ``curated`` (notations with a source, and the workspace's own) or ``lexicon`` (all).
        out: output folder (default: ``out`` of the workspace); records go to ``dialogues/`` in it.
        dry_run: only say what would be done.
        workers: processes for large runs; the bytes do not depend on it.

    Raises:
        TemplateError: a template is broken or does not fit its query.
        StoreLockedError: another process regenerates into the same folder.
    """
    started = time.perf_counter()
    if scope not in SCOPES:
        raise UsageError(f"there is no scope {scope!r}", hint=f"one of {', '.join(SCOPES)}")
    root = (out or ws.out) / "dialogues"
    library = library_of(ws)
    only = langs[0] if len(langs) == 1 else None
    sets = pick_sets(turn_sets(load_templates(template_folders(ws), only)), which, langs)
    if dry_run:
        report = _run(ws, generation, library, sets, scope, root, seed, images, True, workers, say)
    else:
        with output.only_writer(root):
            report = _run(ws, generation, library, sets, scope, root, seed, images, False, workers, say)
    report.seconds = time.perf_counter() - started
    report.out = str(root)
    return report


def _run(
    ws: Workspace,
    generation: Generation,
    library: QueryLibrary,
    sets: Sequence[TurnSet],
    scope: str,
    root: Path,
    seed: int,
    images: bool,
    dry_run: bool,
    workers: int,
    say: Callable[[str], None] | None,
) -> Report:
    state = output.read_state(root)
    report = Report()
    for turns in sets:
        new = _describe(turns, library, generation.content_hash, scope, seed, images)
        old = state.sets.get(f"{turns.name}/{turns.lang}")
        if old is None or any(old[what] != new[what] for what in ("turns", "templates", "queries")):
            make_views([turns], library)
    state.readings, state.scope = _in_scope(ws, generation, library, scope, state)
    notations = sorted(state.readings.items())
    readings = state.readings
    keep: dict[str, output.Entry] = dict(state.entries)
    fresh: dict[str, output.Entry] = {}
    changed_state = False
    reaches = _Reaches(library, state.plans)
    for number, turns in enumerate(sets):
        key = f"{turns.name}/{turns.lang}"
        new = _describe(turns, library, generation.content_hash, scope, seed, images)
        old = state.sets.get(key)
        mine = {e.notation: e for i, e in state.entries.items() if i.startswith(f"{key}/")}
        if old == new and mine.keys() == readings.keys():
            report.unchanged += len(mine)
            continue
        changed_state = changed_state or old != new
        report.graph_changed = report.graph_changed or old is None or old["graph"] != new["graph"]
        why, everything = _reasons(ws, generation, turns, old, new, reaches)
        wanted = [(n, r) for n, r in notations if everything or n in why or n not in mine]
        for notation in sorted(mine.keys() - readings.keys()):
            report.removed += 1
            report.because[notation] += 1
            keep.pop(mine[notation].id)
        entries = _make(generation, library, ws, turns, wanted, root, number, seed, images, workers, say, dry_run)
        touched = 0
        for entry in entries:
            before = mine.get(entry.notation)
            if before is not None and before.fingerprint == entry.fingerprint:
                continue
            touched += 1
            report.because[_because(entry, before, why, everything, old, new)] += 1
            fresh[entry.id] = entry
        report.rewritten += touched
        report.unchanged += len(readings) - touched
        state.sets[key] = new
    keep.update(fresh)
    report.total = len(keep)
    report.others = report.total - len(readings) * len(sets)
    report.unchanged += report.others
    if dry_run:
        return report
    state.plans = reaches.kept()
    if fresh or report.removed or not (root / "val.jsonl").exists():
        state.entries = keep
        now = output.write_all(root, state)
        write_provenance(root, now, state.sets)
    elif changed_state:
        output.touch_state(root, state)
        write_provenance(root, list(state.entries.values()), state.sets)
    return report


class _Reaches:
    """The plans of the sets' views; kept in the state, so that most runs need not parse a query."""

    def __init__(self, library: QueryLibrary, known: dict[str, Any]) -> None:
        self.library = library
        self.known = known
        self.used: dict[str, Any] = {}

    def of(self, turns: TurnSet) -> list[Reach]:
        """The plans of all views of ``turns``."""
        from guqin_kg.dialogue.rows import View

        out = {}
        for key in {view_of(t) for t in turns.templates}:
            bare = type(key)(key.query, key.lookups)
            view = View(bare, self.library)
            mark = f"{bare.query}|{bare.lookups}|{view.digest}"
            if mark not in out:
                if mark in self.known:
                    out[mark] = Reach.from_json(self.known[mark])
                else:
                    out[mark] = reach_of(view)
                self.used[mark] = out[mark].to_json()
        return [out[mark] for mark in sorted(out)]

    def kept(self) -> dict[str, Any]:
        """What to keep in the state."""
        return {**self.known, **self.used}


def _reasons(
    ws: Workspace,
    generation: Generation,
    turns: TurnSet,
    old: dict[str, Any] | None,
    new: dict[str, Any],
    reaches: _Reaches,
) -> tuple[dict[str, set[str]], set[str]]:
    """Notations to look at with what changed, and what makes it necessary to look at all."""
    from guqin_kg.graph.diff import changes_since

    if old is None:
        reaches.of(turns)
        return {}, {"first run"}
    everything: set[str] = set()
    for what in ("templates", "queries"):
        names = {n for n in {*old[what], *new[what]} if old[what].get(n) != new[what].get(n)}
        everything |= names
    if old["turns"] != new["turns"] and not everything:
        everything.add(f"set {turns.name}")
    everything |= {w for w in ("seed", "images", "version", "format", "scope") if old[w] != new[w]}
    plans = reaches.of(turns)
    why: dict[str, set[str]] = {}
    if old["graph"] != new["graph"]:
        delta = changes_since(ws.state, old["graph"], new["graph"])
        if delta is None:
            everything.add("graph")
        else:
            found = affected(plans, generation.store, delta.added, delta.removed)
            why = found.notations
            everything |= found.everything
    return why, everything


def _because(
    entry: output.Entry,
    before: output.Entry | None,
    why: dict[str, set[str]],
    everything: set[str],
    old: dict[str, Any] | None,
    new: dict[str, Any],
) -> str:
    """The one thing a record is said to be rewritten for."""
    if before is None and old is not None:
        return entry.notation
    nodes = why.get(entry.notation, set())
    if any(n.startswith(entry.notation) for n in nodes):
        return entry.notation
    if nodes:
        return min(nodes, key=lambda n: (len(n), n))
    used = sorted(t for t in entry.templates if t in everything)
    return used[0] if used else min(everything)


def _make(
    generation: Generation,
    library: QueryLibrary,
    ws: Workspace,
    turns: TurnSet,
    notations: Sequence[tuple[str, str]],
    root: Path,
    number: int,
    seed: int,
    images: bool,
    workers: int,
    say: Callable[[str], None] | None,
    dry_run: bool,
) -> Iterable[output.Entry]:
    """Make the records of one set into part files (nowhere in a dry run)."""
    if not notations:
        return []
    if say:
        say(f"{turns.name}/{turns.lang}: {len(notations)} notations to look at")
    if dry_run:
        records = generate(generation.store.query, library, [turns], notations, seed=seed, with_images=images)
        return [
            output.Entry(r.id, r.notation, r.split, r.fingerprint, root, 0, len(r.line), r.templates) for r in records
        ]
    parts = [notations[i : i + _PART] for i in range(0, len(notations), _PART)]
    paths = [root / f".part-{number}-{i}" for i in range(len(parts))]
    if len(notations) < _MANY or workers < 2:
        maker = Maker(generation.store.query, library, [turns], seed=seed, with_images=images)
        return [
            entry
            for part, path in zip(parts, paths, strict=True)
            for entry in output.write_part(path, maker.records(part))
        ]
    common = {
        "database": str(generation.database),
        "queries": [str(f) for f in library.folders],
        "templates": [str(f) for f in template_folders(ws)],
        "set": turns.name,
        "lang": turns.lang,
        "seed": seed,
        "images": images,
    }
    jobs = [{"notations": part, "path": str(path)} for part, path in zip(parts, paths, strict=True)]
    entries = []
    for path, rows in zip(paths, run_jobs(common, jobs, workers), strict=True):
        places, offsets = output.part_paths(path), dict.fromkeys(output.SPLITS, 0)
        for identity, notation, split, fingerprint, length, names in rows:
            offset = offsets[split]
            entries.append(
                output.Entry(identity, notation, split, fingerprint, places[split], offset, length, tuple(names))
            )
            offsets[split] = offset + length
    return entries

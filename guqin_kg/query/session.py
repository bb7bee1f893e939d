"""An opened graph: queries by name, readings and names understood as parameter values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import NotFoundError, ReadingError
from guqin_kg.graph.build import build, is_current
from guqin_kg.graph.store import Generation
from guqin_kg.graph.workspace import Workspace, find_workspace
from guqin_kg.inventory import GQ, Inventory
from guqin_kg.query.binding import EVERY, bind
from guqin_kg.query.engine import Backend, StoreBackend, WorkerBackend, run, run_text
from guqin_kg.query.library import QueryLibrary
from guqin_kg.query.results import QueryResult
from guqin_kg.query.spec import QuerySpec
from guqin_kg.query.terms import BindError, expand, shorten

if TYPE_CHECKING:
    from pyoxigraph import Store

    from guqin_kg.notation.grammar import Grammar

_READABLE = {GQ + n for n in ("CompoundNotation", "SubtractiveNotation", "SimpleNotation", "ComplexNotation")}
_READABLE |= {GQ + n for n in ("AsideNotation", "StandaloneNotation")}
_LANGUAGES = ("zh", "en")


class GraphSession:
    """The graph of a workspace, opened for reading; it keeps answering from the state it was opened at.

    Args:
        workspace: the workspace.
        generation: the published store.
        backend: where library queries run; default the store itself.
    """

    def __init__(self, workspace: Workspace, generation: Generation | None, backend: Backend | None = None) -> None:
        self.workspace = workspace
        self._generation = generation
        self._backend = backend

    @property
    def generation(self) -> Generation:
        """The store's state; built first if nothing is there (only when a remote session asks for it)."""
        if self._generation is None:
            self._generation = build(self.workspace)[0]
        return self._generation

    @property
    def store(self) -> Store:
        """The pyoxigraph store, read-only."""
        return self.generation.store

    @property
    def content_hash(self) -> str:
        """Hash of the set of statements."""
        return self.generation.content_hash

    @cached_property
    def backend(self) -> Backend:
        """Where library queries run."""
        return self._backend or StoreBackend(self.store)

    @cached_property
    def library(self) -> QueryLibrary:
        """The packaged queries and those in the workspace's ``sparql/``."""
        from guqin_kg import resources

        return QueryLibrary([resources.folder("sparql"), self.workspace.root / "sparql"])

    @cached_property
    def inventory(self) -> Inventory:
        """Base notations of the ontology and of the workspace."""
        return workspace_inventory(self.workspace)

    @cached_property
    def grammar(self) -> Grammar:
        """The reading grammar of the workspace."""
        from guqin_kg.notation.grammar import grammar_of

        return grammar_of(self.inventory)

    def resolve(self, text: str, cls: str | None) -> str | None:
        """The IRI of what a person calls ``text``: a reading where notations are asked for, else a name in the graph.

        A sign alone (勾) is a reading too: where signs may be meant and the graph has no such notation, it is the sign.

        Raises:
            BindError: several resources have that name.
            ReadingError: only a reading may stand here, it cannot be parsed, and it is no name either.
        """
        signs_too = cls == GQ + "SubtractiveNotation"
        if cls is not None and cls not in _READABLE:
            return self._named(text, cls)
        try:
            iri = self._read_iri(text)
        except ReadingError:
            found = self._named(text, cls)
            if found is None and cls is not None and not signs_too:
                raise
            return found
        absent = signs_too and not self.query("components-of", {"notation": iri}).rows
        return (self._named(text, cls) if absent else None) or iri

    def _named(self, text: str, cls: str | None) -> str | None:
        import pyoxigraph as ox

        names = [ox.Literal(text), *(ox.Literal(text, language=lang) for lang in _LANGUAGES)]
        params = {"name": names, "class": ox.NamedNode(cls) if cls else EVERY}
        rows = run(self.library.get("called"), params, self.backend).rows
        found = sorted({row["resource"] for row in rows})
        if len(found) > 1:
            raise BindError(
                f"{text!r} is the name of {len(found)} resources",
                code="ambiguous-name",
                hint="say which: " + ", ".join(shorten(iri) for iri in found[:8]),
                candidates=found,
            )
        return found[0] if found else None

    def bind(self, query: str | QuerySpec, params: Mapping[str, Any]) -> str:
        """The SPARQL text of a library query with its parameters bound."""
        spec = query if isinstance(query, QuerySpec) else self.library.get(query)
        return bind(spec, self._as_iris(params), self.resolve)

    def _as_iris(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """``params`` with the IRI of each structure, alone or among several values, in its place."""
        return {name: self._as_iri(value) for name, value in params.items()}

    def _as_iri(self, value: Any) -> Any:
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._as_iri(one) for one in value]
        if value is None or isinstance(value, (str, int, float)):
            return value  # what commands give; they need not wait for the records to be loaded
        from guqin_kg.model import Notation

        if not isinstance(value, Notation):
            return value
        import pyoxigraph as ox

        from guqin_kg.notation.iri import notation_iri

        return ox.NamedNode(notation_iri(value, self.grammar))

    def query(
        self, query: str | QuerySpec, params: Mapping[str, Any] | None = None, *, check: bool = True
    ) -> QueryResult:
        """Run a library query by name; see ``guqin_kg.query.engine.run``. A ``Notation`` is bound as its IRI."""
        spec = query if isinstance(query, QuerySpec) else self.library.get(query)
        return run(spec, self._as_iris(params or {}), self.backend, resolve=self.resolve, check=check)

    def similar(self, reading: str, *, least: float = 0.2, published: bool = False) -> QueryResult:
        """Nearest notations of the graph, best first; the reading itself need not be in the graph.

        Args:
            reading: a reading, or an IRI of the graph.
            least: smallest similarity.
            published: the neighbourhood of the published tables instead of the drawn parts.

        Raises:
            ReadingError: it cannot be parsed.
            NotFoundError: ``published`` and the notation is not in the graph.
        """
        import pyoxigraph as ox

        iri = expand(reading) or (reading if "://" in reading else self._read_iri(reading))
        has = ox.NamedNode(GQ + "hasComponent")
        if next(self.store.quads_for_pattern(ox.NamedNode(iri), has, None), None) is not None:
            name = "most-similar-published" if published else "most-similar"
            return self.query(name, {"notation": iri, "least": least})
        if published:
            raise NotFoundError(f"{reading} is not in the graph", hint=f"guqin add {reading}")
        from guqin_kg.notation.parse import parse
        from guqin_kg.notation.rdf import to_triples

        triples = to_triples(parse(reading, self.grammar), self.grammar)
        parts = sorted({str(getattr(t.object, "value", "")) for t in triples if t.predicate == has})
        return self.query("most-similar-to-parts", {"part": parts, "size": len(parts), "least": least})

    def _read_iri(self, text: str) -> str:
        from guqin_kg.notation.iri import notation_iri
        from guqin_kg.notation.parse import parse

        return notation_iri(parse(text, self.grammar), self.grammar)

    def query_text(
        self, text: str, *, timeout: float | None = None, max_rows: int | None = None, file: object | None = None
    ) -> QueryResult:
        """Run SPARQL that anyone wrote, in a process of its own that is stopped at the deadline.

        Raises:
            UnsafeInputError, LimitError, QuerySyntaxError: see ``run_text``.
        """
        limits = self.workspace.settings
        backend = self._backend or WorkerBackend(
            self.generation.database, timeout or limits.query_seconds, max_rows or limits.query_rows
        )
        return run_text(text, backend, file=file)


def workspace_inventory(ws: Workspace) -> Inventory:
    """The base notations of the ontology and of the workspace's own Turtle files."""
    from guqin_kg.inventory import load_inventory

    return load_inventory(base=ws.sign_files())


def open_graph(
    workspace: Path | Workspace | None = None, *, say: Callable[[str], None] | None = None, lexicon: str | None = None
) -> GraphSession:
    """Open the graph of a workspace, building or updating the store first where its inputs changed.

    Args:
        workspace: folder or workspace; None means the nearest above the current folder, else the per-user one.
        say: told when building.
        lexicon: ``none`` or ``full``; default what the settings say.
    """
    ws = workspace if isinstance(workspace, Workspace) else find_workspace(workspace)
    generation = is_current(ws, lexicon)
    if generation is None:
        if say:
            say("the graph has changed; bringing the store up to date …")
        generation, _ = build(ws, lexicon=lexicon, say=say)
    _ = generation.store  # opened now, so that later edits cannot take it away
    return GraphSession(ws, generation)

"""Where a bound query runs: the embedded store, rdflib's memory, a remote endpoint, or a worker that can be killed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from guqin_kg.errors import DataError, LimitError
from guqin_kg.query import tokens as tk
from guqin_kg.query.binding import bind, prologue
from guqin_kg.query.results import QueryResult, result_from_json
from guqin_kg.query.spec import QuerySpec
from guqin_kg.query.terms import Resolver

if TYPE_CHECKING:
    from pyoxigraph import Store
    from rdflib import Graph

DEFAULT_TIMEOUT = 10.0
DEFAULT_MAX_ROWS = 100_000


class Backend(Protocol):
    """Anything that answers SPARQL text."""

    def query(self, text: str) -> QueryResult:
        """The answer; raises ``GuqinKGError`` with the reason when there is none."""


class QuerySyntaxError(DataError):
    """The query is not SPARQL; carries the line."""

    default_code = "query-syntax"


def too_many(limit: int) -> LimitError:
    """The error for an answer with more rows than the caller allows."""
    return LimitError(
        f"the answer has more than {limit:,} rows",
        code="too-many-rows",
        limit=limit,
        hint="add LIMIT, ask for less, or raise --max-rows",
    )


def too_long(seconds: float) -> LimitError:
    """The error for a query that was stopped at its deadline."""
    return LimitError(
        f"the query took longer than {seconds:g} s and was stopped",
        code="timeout",
        seconds=seconds,
        hint="join its patterns by a shared variable, bind a parameter, or raise --timeout",
    )


def collect(answer: Any, max_rows: int | None = None) -> QueryResult:
    """A pyoxigraph answer as a ``QueryResult``.

    Raises:
        LimitError: more than ``max_rows`` rows.
    """
    import pyoxigraph as ox

    if isinstance(answer, ox.QueryBoolean):
        return QueryResult(boolean=bool(answer))
    rows: list[Any] = []
    is_select = isinstance(answer, ox.QuerySolutions)
    for item in answer:
        if max_rows is not None and len(rows) >= max_rows:
            raise too_many(max_rows)
        rows.append(tuple(item) if is_select else item)
    if is_select:
        return QueryResult(tuple(v.value for v in answer.variables), rows)
    return QueryResult(triples=rows)


def syntax_error(error: Exception, file: str | None = None) -> QuerySyntaxError:
    """An engine's complaint as ours, with the line if it names one."""
    found = re.search(r"(?:error at |line )(\d+)", str(error))
    return QuerySyntaxError(
        f"the query is not SPARQL 1.1: {error}",
        file=file,
        line=getattr(error, "lineno", None) or (int(found[1]) if found else None),
        hint="prefixes of ontology/prefixes.ttl are known without being declared",
    )


class StoreBackend:
    """The embedded store, in this process (for queries we trust: the library's)."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def query(self, text: str, max_rows: int | None = None) -> QueryResult:
        """See ``Backend``."""
        try:
            return collect(self.store.query(prologue(text)), max_rows)
        except (SyntaxError, ValueError) as error:
            raise syntax_error(error) from None


class RdflibBackend:
    """An rdflib graph in memory."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def query(self, text: str) -> QueryResult:
        """See ``Backend``."""
        from pyparsing import ParseException

        try:
            answer = self.graph.query(prologue(text))
        except ParseException as error:
            raise syntax_error(error) from None
        if answer.type == "ASK":
            return QueryResult(boolean=bool(answer.askAnswer))
        if answer.type == "SELECT":
            names = tuple(str(v) for v in answer.vars or ())
            rows: Any = answer.bindings
            return QueryResult(names, [tuple(_from_rdflib(b.get(v)) for v in answer.vars or ()) for b in rows])
        from pyoxigraph import Triple

        return QueryResult(triples=[Triple(*map(_from_rdflib, t)) for t in answer.graph or ()])


def _from_rdflib(node: Any) -> Any:
    import pyoxigraph as ox
    import rdflib

    if node is None:
        return None
    if isinstance(node, rdflib.URIRef):
        return ox.NamedNode(str(node))
    if isinstance(node, rdflib.BNode):
        return ox.BlankNode(str(node))
    if node.language:
        return ox.Literal(str(node), language=node.language)
    return ox.Literal(str(node), datatype=ox.NamedNode(str(node.datatype))) if node.datatype else ox.Literal(str(node))


class WorkerBackend:
    """The embedded store in a process of its own, killed at the deadline: for queries written by anyone.

    Args:
        path: the folder of the store (opened read-only there).
        timeout: seconds until the worker is killed.
        max_rows: more rows than this are an error, not a cut-off answer.
    """

    def __init__(self, path: Path, timeout: float = DEFAULT_TIMEOUT, max_rows: int = DEFAULT_MAX_ROWS) -> None:
        self.path = path
        self.timeout = timeout
        self.max_rows = max_rows

    def query(self, text: str) -> QueryResult:
        """See ``Backend``; also raises LimitError at the deadline."""
        job = json.dumps({"store": str(self.path), "query": prologue(text), "max_rows": self.max_rows})
        try:
            done = subprocess.run(
                [sys.executable, "-m", "guqin_kg.query.worker"],
                input=job.encode(),
                capture_output=True,
                timeout=self.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise too_long(self.timeout) from None
        if done.returncode != 0:
            raise _worker_error(done.returncode, done.stdout, self.max_rows)
        return _from_worker(done.stdout)


def _worker_error(status: int, out: bytes, max_rows: int) -> DataError:
    try:
        said = json.loads(out.splitlines()[-1]) if out.strip() else {}
    except ValueError:
        said = {}
    if said.get("error") == "syntax":
        return syntax_error(SyntaxError(said.get("message", "")))
    if said.get("error") == "rows":
        return too_many(max_rows)
    if said.get("message"):
        return DataError(said["message"], code="query-failed")
    return LimitError(
        f"the query was stopped by the system (status {status}); it most likely needed too much memory",
        code="query-killed",
        hint="make the query answer less at once",
    )


def _from_worker(out: bytes) -> QueryResult:
    kind, _, body = out.partition(b"\n")
    if kind == b"triples":
        import pyoxigraph as ox

        return QueryResult(triples=[q.triple for q in ox.parse(input=body, format=ox.RdfFormat.N_TRIPLES)])
    return result_from_json(json.loads(body))


def run(
    spec: QuerySpec,
    params: Mapping[str, Any],
    backend: Backend,
    *,
    resolve: Resolver | None = None,
    check: bool = True,
) -> QueryResult:
    """Run a library query.

    Args:
        spec: the query.
        params: its parameters; see ``guqin_kg.query.binding.bind``.
        backend: where it runs.
        resolve: turns readings and names into IRIs.
        check: compare the rows with the declared columns (off for bulk runs).

    Raises:
        BindError: parameters that do not fit.
        ReadingError, NotFoundError: a value that cannot be parsed, or is the name of nothing.
        DataError: the query fails, or its rows are not what its header declares.
    """
    text = bind(spec, params, resolve)
    result = backend.query(text)
    return result.check(spec) if check else result


def run_text(text: str, backend: Backend, *, file: object | None = None) -> QueryResult:
    """Run a query that anyone wrote, after checking that it only reads this graph.

    Raises:
        UnsafeInputError: SERVICE, FROM, LOAD or an update.
        LimitError: too long, too many rows, or stopped at the deadline.
    """
    tk.kind_of(text, file=file)
    try:
        return backend.query(text)
    except QuerySyntaxError as error:
        error.file = error.file or (str(file) if file else None)
        raise

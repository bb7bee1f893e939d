"""Library queries and their engines: ``load_query``, ``bind``, ``run``."""

from __future__ import annotations

from guqin_kg.query.binding import EVERY, bind
from guqin_kg.query.engine import Backend, RdflibBackend, StoreBackend, WorkerBackend, run, run_text
from guqin_kg.query.library import QueryLibrary, packaged
from guqin_kg.query.results import QueryResult
from guqin_kg.query.spec import ColumnSpec, ParamSpec, QuerySpec, QuerySpecError, read_spec
from guqin_kg.query.terms import BindError

__all__ = [
    "EVERY",
    "Backend",
    "BindError",
    "ColumnSpec",
    "ParamSpec",
    "QueryLibrary",
    "QueryResult",
    "QuerySpec",
    "QuerySpecError",
    "RdflibBackend",
    "StoreBackend",
    "WorkerBackend",
    "bind",
    "load_query",
    "packaged",
    "read_spec",
    "run",
    "run_text",
]


def load_query(name: str) -> QuerySpec:
    """The packaged library query ``name``."""
    return packaged().get(name)

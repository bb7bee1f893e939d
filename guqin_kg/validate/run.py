"""Validate a workspace's graph, or files against it, with file and line in every row that has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from guqin_kg.validate.locate import index_files
from guqin_kg.validate.report import Report

if TYPE_CHECKING:
    from guqin_kg.graph.workspace import Workspace

Say = Callable[[str], None]


def validate_workspace(ws: Workspace, *, say: Say | None = None) -> Report:
    """Validate the whole graph of ``ws``: ontology, lexicon (if the store holds it) and the user's statements.

    Raises:
        GuqinKGError: the store cannot be made, for example because a file is not Turtle.
    """
    from guqin_kg.graph.build import build
    from guqin_kg.validate.fast import validate_store

    generation, _ = build(ws, say=say)
    report = validate_store(generation.store, copy=generation.in_memory)
    return _located(report, ws, [*ws.graph_files(), *ws.ontology_files()])


def validate_files(ws: Workspace, paths: Sequence[Path], *, say: Say | None = None) -> Report:
    """Validate the statements of ``paths`` as if they were in the graph of ``ws``; nothing is changed.

    Raises:
        GraphSyntaxError: a file is not Turtle (file and line).
        LimitError, UnsafeInputError: it is too large, imports a document, or declares terms of the ontology.
    """
    from guqin_kg.graph.build import build, schema_of
    from guqin_kg.graph.expand import expand
    from guqin_kg.graph.sources import read_triples
    from guqin_kg.validate.additions import validate_additions

    triples = [t for path in paths for t in read_triples(path, max_bytes=ws.max_bytes, guarded=True)]
    generation, _ = build(ws, say=say)
    schema = schema_of(generation)
    misprints = [t for t in triples if t.predicate.value in schema.replaced]
    report = validate_additions(generation.store, [*expand(triples, schema), *misprints])
    return _located(report, ws, [*paths, *ws.graph_files(), *ws.ontology_files()])


def _located(report: Report, ws: Workspace, paths: Sequence[Path]) -> Report:
    wanted = {row.focus for row in report.results}
    names = {path: ws.relative(path) for path in paths}
    return report.located(index_files(paths, wanted, names)) if wanted else report

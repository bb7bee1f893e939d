"""``guqin query``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from guqin_kg.cli.common import echo_json, format_option, talk, workspace_option
from guqin_kg.errors import NotFoundError, UsageError, decoded

if TYPE_CHECKING:
    from guqin_kg.query.library import QueryLibrary
    from guqin_kg.query.results import QueryResult
    from guqin_kg.query.spec import QuerySpec


@click.command()
@click.argument("name", required=False)
@click.option(
    "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; readings are understood."
)
@format_option("table", "csv", "json", "turtle")
@click.option("--list", "list_all", is_flag=True, help="List the library queries (with --format json: all about them).")
@click.option("--endpoint", metavar="URL", help="Ask a SPARQL 1.1 endpoint instead of the workspace's store.")
@click.option("--timeout", type=click.FloatRange(min=0.01), help="Seconds until the query is stopped.")
@click.option("--max-rows", type=click.IntRange(min=1), help="More rows than this are an error.")
@click.option("--show", is_flag=True, help="Print the SPARQL with the parameters bound, and do not run it.")
@workspace_option()
def query(
    name: str | None,
    params: tuple[str, ...],
    fmt: str,
    list_all: bool,
    endpoint: str | None,
    timeout: float | None,
    max_rows: int | None,
    show: bool,
    workspace: Path | None,
) -> None:
    """Ask the graph: a library query by NAME, a FILE.rq, or SPARQL from standard input (-).

    Values of -p are bound as RDF terms: a reading (大九勾四), a name (勾), gqr:rh-gou, an IRI, text or a number.
    Queries only read, are stopped at a deadline, and may not call other servers.

    \b
    Examples:
      guqin query --list
      guqin query components-of -p notation=大九勾四
      guqin query notations-using -p component=gqr:rh-gou --format csv
      guqin query my-question.rq --timeout 30
      echo 'SELECT ?n WHERE { ?n a gq:Tuning }' | guqin query - --format json
      guqin query components-of -p notation=大九勾四 --endpoint http://127.0.0.1:7878/query
    """
    if list_all:
        _print_list(_library(workspace), fmt)
        return
    if name is None:
        raise UsageError("say what to ask", hint="a name from `guqin query --list`, a FILE.rq, or - for standard input")
    given = _given(params)
    is_file = name == "-" or name.endswith(".rq") or "/" in name
    if is_file and name != "-" and not Path(name).is_file():
        is_file = False if not name.endswith(".rq") else _no_file(name)
    session = _session(workspace, endpoint, timeout, max_rows)
    if is_file:
        text = _read_text(name)
        spec = _spec_of(text, name) if given or show else None
        if spec is not None:
            text = session.bind(spec, given)
        elif given:
            raise UsageError("only a query with a #+ header takes -p", hint="sparql/README.md describes the header")
        if show:
            click.echo(text)
            return
        result = session.query_text(text, timeout=timeout, max_rows=max_rows, file=None if name == "-" else name)
    else:
        spec = session.library.get(name)
        text = session.bind(spec, given)
        if show:
            click.echo(text)
            return
        if timeout or max_rows:
            result = session.query_text(text, timeout=timeout, max_rows=max_rows, file=spec.file)
        else:
            result = session.query(spec, given)
    print_result(result, fmt)


def _no_file(name: str) -> bool:
    raise NotFoundError("no such file", code="no-file", file=name, hint="check the path")


def _given(params: tuple[str, ...]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for item in params:
        key, sign, value = item.partition("=")
        if not sign or not key:
            raise UsageError(f"-p takes NAME=VALUE, not {item!r}", hint="for example -p notation=READING")
        if key in out:
            out[key] = [*(out[key] if isinstance(out[key], list) else [out[key]]), value]
        else:
            out[key] = value
    return out


def _session(workspace: Path | None, endpoint: str | None, timeout: float | None, max_rows: int | None) -> Any:
    from guqin_kg.graph.workspace import find_workspace
    from guqin_kg.query.session import GraphSession, open_graph

    if endpoint is None:
        return open_graph(workspace, say=talk)
    from guqin_kg.query.remote import RemoteBackend

    ws = find_workspace(workspace)
    limits = ws.settings
    backend = RemoteBackend(endpoint, timeout or limits.query_seconds, max_rows or limits.query_rows)
    return GraphSession(ws, None, backend)


def _library(workspace: Path | None) -> QueryLibrary:
    from guqin_kg import resources
    from guqin_kg.graph.workspace import find_workspace
    from guqin_kg.query.library import QueryLibrary

    return QueryLibrary([resources.folder("sparql"), find_workspace(workspace).root / "sparql"])


def _read_text(name: str) -> str:
    data = sys.stdin.buffer.read(4_000_001) if name == "-" else Path(name).read_bytes()
    from guqin_kg.query.engine import QuerySyntaxError

    return decoded(data, QuerySyntaxError, file=None if name == "-" else name, hint="save the query as UTF-8")


def _spec_of(text: str, name: str) -> QuerySpec | None:
    from guqin_kg.query.spec import parse_spec

    if not any(line.startswith("#+") for line in text.splitlines()):
        return None
    return parse_spec(text, Path("query.select.rq") if name == "-" else Path(name))


def _print_list(library: QueryLibrary, fmt: str) -> None:
    specs = library.all()
    if fmt == "json":
        echo_json(
            [
                {
                    "name": s.name,
                    "purpose": s.purpose,
                    "kind": s.kind,
                    "question": dict(s.question),
                    "params": [
                        {"name": p.name, "type": p.type, "class": p.cls, "optional": p.optional, "example": p.example}
                        for p in s.params
                    ],
                    "columns": {c.name: c.type + ("?" if c.optional else "") for c in s.columns},
                    "tags": list(s.tags),
                }
                for s in specs
            ]
        )
        return
    if fmt != "table":
        raise UsageError("--list prints a table or json")
    width = max((len(s.name) for s in specs), default=0)
    purpose = None
    for s in specs:
        if s.purpose != purpose:
            purpose = s.purpose
            click.echo(f"\n{purpose}" if purpose else "")
        takes = " ".join(f"-p {p.name}={p.example}" for p in s.params if not p.optional)
        click.echo(f"  {s.name:<{width}}  {s.question['zh']} {s.question['en']}" + (f"  [{takes}]" if takes else ""))


def print_result(result: QueryResult, fmt: str) -> None:
    if fmt == "json":
        echo_json(result.to_json())
    elif fmt == "csv":
        sys.stdout.flush()
        sys.stdout.buffer.write(result.to_csv().encode())
        sys.stdout.buffer.flush()
    elif fmt == "turtle":
        click.echo(result.to_turtle(), nl=False)
    else:
        click.echo(result.to_table())

"""``guqin similar``: nearest notations, by what they share or in the space of the contrastive model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from guqin_kg.cli.common import format_option, talk, workspace_option

if TYPE_CHECKING:
    from guqin_kg.query.results import QueryResult
    from guqin_kg.recognise.nearest import Nearest

_GRAPH = ("structure", "published")
_LEARNT = ("text", "image", "audio")


@click.command()
@click.argument("reading", required=False)
@click.option(
    "--by",
    type=click.Choice([*_GRAPH, *_LEARNT]),
    help="What of READING is compared: its parts (default), the published neighbourhood, or by the contrastive model "
    "its text, its drawing, its sound.",
)
@click.option("--image", type=click.Path(path_type=Path, dir_okay=False), help="Search with this picture instead.")
@click.option("--audio", type=click.Path(path_type=Path, dir_okay=False), help="Search with this WAV file instead.")
@click.option(
    "--against",
    type=click.Choice(_LEARNT),
    help="What of the notations it is compared with: their readings, drawings or sounds (default: the same as --by; "
    "for files their readings).",
)
@click.option("--adapter", metavar="NAME", help="Contrastive adapter for a book (guqin adapters).")
@click.option("--model", type=click.Path(path_type=Path, file_okay=False), help="Another contrastive model's folder.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="How many.")
@format_option("table", "csv", "json")
@workspace_option()
def similar(
    reading: str | None,
    by: str | None,
    image: Path | None,
    audio: Path | None,
    against: str | None,
    adapter: str | None,
    model: Path | None,
    top: int,
    fmt: str,
    workspace: Path | None,
) -> None:
    """Nearest notations of the graph to a reading, a picture or a sound.

    By structure: shared parts. By text, image or audio: in the common space of the contrastive model, also across
    (a reading against drawings, a picture against sounds). Vectors of the graph's notations are kept in the workspace.

    \b
    Examples:
      guqin similar 大九勾四
      guqin similar 大八半擘四 --by published --top 5
      guqin similar 大九勾四 --by image                      drawn alike
      guqin similar 大九勾四 --by text --against audio       reading to sounds
      guqin similar --image crop.png --adapter wusheng-1457  picture to readings
      guqin similar --image crop.png --against audio         picture to sounds
      guqin similar --audio tone.wav                         sound to readings
    """
    from guqin_kg.cli.query import print_result
    from guqin_kg.errors import UsageError
    from guqin_kg.query.session import open_graph

    if (reading is not None) + (image is not None) + (audio is not None) != 1:
        raise UsageError("search with one thing: a reading, --image FILE or --audio FILE", hint="guqin similar --help")
    if reading is None and by is not None:
        raise UsageError(
            "--by says what of a reading is compared; a file is what it is",
            hint="--against text|image|audio says what of the notations it is compared with",
        )
    if reading is not None and by in (None, *_GRAPH):
        if against is not None:
            raise UsageError("--against needs --by text, image or audio", hint="guqin similar --help")
        session = open_graph(workspace, say=talk)
        result = session.similar(reading, published=by == "published")
        result.terms = result.terms[:top]
    else:
        from guqin_kg.recognise.nearest import Search
        from guqin_kg.recognise.towers import Towers

        session = open_graph(workspace, say=talk)
        search = Search(session, Towers.open(model, adapter, session.workspace.root), say=talk, progress=True)
        found = search.find(reading=reading, by=by or "text", image=image, audio=audio, against=against, top=top)
        result = _as_result(found)
    print_result(result, fmt)


def _as_result(found: list[Nearest]) -> QueryResult:
    import pyoxigraph as ox

    from guqin_kg.query.results import QueryResult

    decimal = ox.NamedNode("http://www.w3.org/2001/XMLSchema#decimal")
    return QueryResult(
        columns=("other", "name", "similarity"),
        terms=[
            (ox.NamedNode(row.iri), ox.Literal(row.name), ox.Literal(f"{row.similarity:.6f}", datatype=decimal))
            for row in found
        ],
    )

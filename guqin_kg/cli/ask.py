"""``guqin ask``."""

from __future__ import annotations

from pathlib import Path

import click

from guqin_kg.cli.common import echo_json, format_option, talk, workspace_option


@click.command()
@click.argument("question")
@click.option("--image", type=click.Path(path_type=Path, dir_okay=False), help="Picture of the glyph asked about.")
@click.option("--adapter", metavar="NAME", help="An adapter of the recogniser's shelf, for --image.")
@click.option(
    "--llm", metavar="URL|PATH|none", default="none", show_default=True,
    help="Who words the answer: an OpenAI-compatible endpoint, a local model folder, or nobody.",
)  # fmt: skip
@click.option("--llm-model", metavar="NAME", help="Name of the model at the URL (default: the first it offers).")
@click.option("--lang", type=click.Choice(["zh", "en"]), help="Language (default: that of the question).")
@click.option("--top", type=click.IntRange(1, 50), default=8, show_default=True, help="Statements at most.")
@format_option("text", "json")
@workspace_option()
def ask(
    question: str,
    image: Path | None,
    adapter: str | None,
    llm: str,
    llm_model: str | None,
    lang: str | None,
    top: int,
    fmt: str,
    workspace: Path | None,
) -> None:
    """Answer a question from the graph, with the statements the answer rests on.

    Notations, base notations and terms in the question are looked up; without a language model the answer is made of
    the graph's own sentences. The network is used only when --llm is a URL.

    \b
    Examples:
      guqin ask "大九勾四用哪个手指？"
      guqin ask "What does gou mean?"
      guqin ask "这个字怎么弹？" --image crop.png
      guqin ask "大九勾四怎么弹？" --llm http://localhost:11434/v1 --format json
    """
    from guqin_kg.ask import ask as run
    from guqin_kg.query.session import open_graph
    from guqin_kg.query.terms import shorten

    session = open_graph(workspace, say=talk)
    found = run(session, question, image=image, llm=llm, model=llm_model, lang=lang, adapter=adapter, top=top)
    if fmt == "json":
        echo_json(found.to_json())
        return
    if found.image:
        click.echo(f"{found.image['reading']} ({found.image['probability']:.2f})")
    click.echo(found.text)
    click.echo("")
    for number, statement in enumerate(found.statements, 1):
        where = " ".join(shorten(iri) for iri in statement.sources[:4])
        more = " …" if len(statement.sources) > 4 else ""
        click.echo(f"[{number}] {statement.text}\n    {statement.template or statement.query or ''}  {where}{more}")
    if found.unsupported:
        talk("in no statement: " + " ".join(found.unsupported))

"""``guqin parse`` and ``guqin lexicon``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from guqin_kg.cli.common import echo_json, format_option, leave, reading_grammar, talk, workspace_option
from guqin_kg.errors import UsageError
from guqin_kg.model import Notation
from guqin_kg.notation.grammar import Grammar

if TYPE_CHECKING:
    from guqin_kg.notation.lexicon import Lexicon


@click.command()
@click.argument("readings", nargs=-1, metavar="READING …")
@format_option("text", "json")
@workspace_option()
def parse(readings: tuple[str, ...], fmt: str, workspace: Path | None) -> None:
    """Read notations: from a reading to its structure.

    Short and full readings, simplified and traditional characters, any width of digits and inner spaces are accepted.
    "-" reads one notation a line from standard input. Exit status 1 if one of them cannot be read.

    \b
    Examples:
      guqin parse 大九绰勾四 撮大七七散四
      guqin parse 大指九徽绰勾四弦 --format json
      cat names.txt | guqin parse - --format json
    """
    from guqin_kg.notation.parse import parse_json

    if not readings:
        raise UsageError("no reading given", hint="see guqin parse --help")
    texts = [line.strip() for line in sys.stdin if line.strip()] if readings == ("-",) else list(readings)
    grammar = reading_grammar(workspace)
    found = [parse_json(text, grammar) for text in texts]
    if fmt == "json":
        echo_json(found)
    else:
        for item in found:
            _print(item)
    leave(1 if any("error" in item for item in found) else 0)


def _print(item: dict[str, Any]) -> None:
    if "error" in item:
        error = item["error"]
        talk(f"{item['reading']}: {error['message']} (character {error['at'] + 1})")
        if error["hint"]:
            talk(f"  hint: {error['hint']}")
        return
    click.echo(f"{item['reading']}  [{item['form']}]  {' '.join(item['components'])}  {item['ids']}")
    for note in [item, *item["notes"]]:
        said = ", ".join(f"{key} {_show(note[key])}" for key in _SHOWN if note.get(key) not in (None, [], ""))
        click.echo(f"  {said}" if note is item else f"    note: {said}")
    click.echo(f"  <{item['iri']}>")
    for decision in item["ambiguity"]:
        click.echo(f"  {decision['rule']}: {decision['en']}")


_SHOWN = ("sound", "tone", "left_finger", "hui", "ornaments", "technique", "strings", "modifiers", "count")


def _show(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return "/".join(f"{k}={v}" if v is not True else k for k, v in value.items() if v not in (None, False))
    return str(value)


@click.command()
@click.option("--count", is_flag=True, help="Only say how many there are, by rule (nothing is listed for it).")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to FILE: .txt .jsonl .nt or .ttl.")
@click.option("--where", "where", multiple=True, metavar="NAME=VALUE", help="Only those that meet a condition.")
@click.option("--limit", type=click.IntRange(min=0), help="At most so many (the published work has 26416).")
@click.option("--curated", is_flag=True, help="The set shipped in the graph, chosen by its stated rule.")
@click.argument("more", nargs=-1, metavar="[NAME=VALUE …]")
@format_option("text", "json")
@workspace_option()
def lexicon(
    count: bool,
    out: Path | None,
    where: tuple[str, ...],
    limit: int | None,
    curated: bool,
    more: tuple[str, ...],
    fmt: str,
    workspace: Path | None,
) -> None:
    """Every well-formed notation that the graph's words and lexicon rules allow, listed as asked for.

    Conditions: finger, technique, string, hui, ornament, sound, form, tone, rule. The order is always the same, so
    --limit 26416 is the slice of the published size. JSON is one array of readings with their IRIs.

    \b
    Examples:
      guqin lexicon --count
      guqin lexicon --where finger=大 --where technique=勾 --where string=4
      guqin lexicon --limit 26416 --out lexicon.nt
      guqin lexicon --curated --out ontology/curated/notations.ttl
    """
    from itertools import islice

    from guqin_kg.notation.lexicon import Lexicon
    from guqin_kg.notation.lexicon import curated as curated_set

    conditions = _conditions((*where, *more))
    _check_together(count, out, limit, curated, conditions)
    book = Lexicon(reading_grammar(workspace))
    waiting = _Waiting(limit if not conditions else None)
    if count and not curated:
        sizes = book.count_by_rule(conditions, progress=waiting)
        waiting.end()
        _print_sizes(book, sizes, fmt)
        return
    found = curated_set(book.grammar) if curated else book.select(conditions, progress=waiting)
    found = islice(found, limit) if limit is not None else found
    if count:
        number = sum(1 for _ in found)
        echo_json({"total": number}) if fmt == "json" else click.echo(f"{number:,}")
    elif out:
        number = _write(found, out, book.grammar, _comment(conditions, limit, curated))
        waiting.end()
        talk(f"{number:,} notations written to {out}")
    else:
        number = _print_list(found, book.grammar, fmt, waiting)
        if not number and limit != 0:
            talk(f"no notation of the lexicon has {_said(conditions)}" + (" at once" if len(conditions) > 1 else ""))


def _check_together(
    count: bool, out: Path | None, limit: int | None, curated: bool, conditions: Mapping[str, str]
) -> None:
    """Refuse options of which one would go unheeded.

    Raises:
        UsageError: --count with --out or --limit, or --curated with a condition.
    """
    if count and limit is not None:
        raise UsageError("--count counts all of them, whatever the limit", hint="leave out --count or --limit")
    if count and out:
        raise UsageError("--count lists nothing, so there is nothing to write", hint="leave out --count or --out")
    if curated and conditions:
        raise UsageError(
            f"the shipped set is chosen by its own rule, not by {_said(conditions)}",
            hint="leave out --curated or the conditions",
        )


def _said(conditions: Mapping[str, str]) -> str:
    """The conditions on one line, whatever spaces were typed in them."""
    return " ".join(f"{key}={''.join(value.split())}" for key, value in conditions.items())


class _Waiting:
    """Says on standard error how far a listing is, once it has been silent for two seconds.

    One line that is written over on a terminal, a line now and then elsewhere, as for ``guqin dataset``.

    Args:
        limit: a listing without conditions ends there.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._next = time.monotonic() + _SILENT
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total`` notations were looked at."""
        now = time.monotonic()
        if now < self._next:
            return
        on_terminal = sys.stderr.isatty()
        self._next = now + (0.5 if on_terminal else 15)
        whole = total if self._limit is None else min(total, self._limit)
        line = f"{done:,} of {whole:,} notations looked at"
        click.echo(("\r\033[K" if on_terminal else "") + line, err=True, nl=not on_terminal)
        self._shown = on_terminal

    def end(self) -> None:
        """Take the line away."""
        if self._shown:
            click.echo("\r\033[K", err=True, nl=False)
            self._shown = False

    def row(self) -> None:
        """A row is about to be printed: who watches a terminal sees that, and the line must not stand before it."""
        self.end()
        if sys.stdout.isatty():
            self._next = time.monotonic() + _SILENT


_SILENT = 2.0


def _print_sizes(book: Lexicon, sizes: Mapping[str, int], fmt: str) -> None:
    total = sum(sizes.values())
    if fmt == "json":
        echo_json({"total": total, "rules": sizes})
        return
    for rule in book.rules:
        if sizes.get(rule.name):
            click.echo(f"{sizes[rule.name]:>9,}  {rule.name:<18} {rule.labels.get('en', '')}")
    click.echo(f"{total:>9,}  in all")


def _print_list(found: Iterable[Notation], grammar: Grammar, fmt: str, waiting: _Waiting) -> int:
    """Print readings, or one JSON array of readings with their IRIs, as they are found.

    Returns:
        How many there were.
    """
    from guqin_kg.notation.format import short_reading
    from guqin_kg.notation.iri import notation_iri

    number = 0
    for notation in found:
        waiting.row()
        reading = short_reading(notation, grammar)
        if fmt == "json":
            # written row by row, so that the whole lexicon needs no memory
            row = json.dumps({"reading": reading, "iri": notation_iri(notation, grammar)}, ensure_ascii=False)
            click.echo((",\n  " if number else "[\n  ") + row, nl=False)
        else:
            click.echo(reading)
        number += 1
    waiting.end()
    if fmt == "json":
        click.echo("\n]" if number else "[]")
    return number


def _conditions(texts: tuple[str, ...]) -> dict[str, str]:
    from guqin_kg.notation.lexicon import WHERE_KEYS

    out: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key not in WHERE_KEYS or not value:
            raise UsageError(f"{text!r} is no condition", hint="NAME=VALUE with NAME one of " + ", ".join(WHERE_KEYS))
        out[key] = value
    return out


def _write(found: Iterable[Notation], out: Path, grammar: Grammar, comment: str) -> int:
    """Write notations in the form the file name asks for; a half-written file never takes its place.

    Args:
        comment: head of a Turtle file.

    Returns:
        How many were written.

    Raises:
        UsageError: the name says no form.
    """
    from guqin_kg.notation.format import short_reading

    kind = out.suffix
    if kind not in (".txt", ".jsonl", ".nt", ".ttl"):
        raise UsageError(f"{out.name}: what form is this?", hint="end the name in .txt, .jsonl, .nt or .ttl")
    draft = out.with_name(out.name + ".tmp")
    number = 0

    def counted() -> Iterator[Notation]:
        nonlocal number
        for notation in found:
            number += 1
            yield notation

    try:
        with draft.open("w", encoding="utf-8") as file:
            if kind == ".nt":
                from guqin_kg.notation.rdf import write_ntriples

                write_ntriples(counted(), file.write, grammar)
            elif kind == ".ttl":
                file.write(_turtle(counted(), grammar, comment))
            else:
                for notation in counted():
                    reading = short_reading(notation, grammar)
                    row = _row(notation, reading, grammar) if kind == ".jsonl" else reading
                    file.write(row + "\n")
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    return number


def _row(notation: Notation, reading: str, grammar: Grammar) -> str:
    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.notation.parse import notation_json

    body = {"reading": reading, "iri": notation_iri(notation, grammar), **notation_json(notation, grammar)}
    return json.dumps(body, ensure_ascii=False)


def _turtle(found: Iterable[Notation], grammar: Grammar, comment: str) -> str:
    """Stable Turtle; every notation names this project as its source."""
    import pyoxigraph as ox

    from guqin_kg.graph.serialise import format_triples
    from guqin_kg.inventory import GQR
    from guqin_kg.notation.rdf import to_triples
    from guqin_kg.vocab import prefixes

    source, project = ox.NamedNode("http://purl.org/dc/terms/source"), ox.NamedNode(GQR + "source-project")
    triples = []
    for notation in found:
        about = to_triples(notation, grammar)
        triples += [*about, ox.Triple(about[0].subject, source, project)]
    return format_triples(triples, prefixes(), comment=comment)


def _comment(conditions: Mapping[str, str], limit: int | None, curated: bool) -> str:
    """What a Turtle file says of itself: what it holds, and the command that writes it."""
    what = "Compound notations that the lexicon rules of the graph allow, listed by a command"
    if curated:
        what = "Compound notations shipped in the graph, chosen by rule and generated, not kept by hand"
        what = what if limit is None else f"The first {limit} of the c{what[1:]}"
    asked = " --curated" if curated else ""
    asked += "".join(f" --where {_said({key: value})}" for key, value in conditions.items())
    asked += f" --limit {limit}" if limit is not None else ""
    return f"# {what}: guqin lexicon{asked} --out FILE (docs/readings.md)\n"

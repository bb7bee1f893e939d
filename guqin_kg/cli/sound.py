"""``guqin pitch``, ``guqin play`` and ``guqin score``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from guqin_kg.cli.common import echo_json, format_option, leave, reading_grammar, talk, workspace_option
from guqin_kg.errors import GuqinKGError, ReadingError, UsageError

if TYPE_CHECKING:
    from guqin_kg.notation.grammar import Grammar
    from guqin_kg.score.context import Interpretation

_WRITERS = (".wav", ".flac", ".mid", ".midi", ".musicxml", ".html", ".pdf", ".ttl")


def _tuning_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--a4", type=float, default=440.0, show_default=True, help="Pitch of A4 in Hz."),
        click.option(
            "--temperament",
            help="Open strings among themselves: equal (default), pythagorean, just, or another of yours.",
        ),
        click.option(
            "--tradition",
            help="How two-digit positions are meant: decimal (default), between, or the title of a source.",
        ),
        click.option("--tuning", help="Name, other name or id of a tuning (default: the standard one)."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("readings", nargs=-1, metavar="READING …")
@click.option("--tunings", "list_tunings", is_flag=True, help="List the tunings, their other names and conflicts.")
@_tuning_options
@format_option("text", "json")
@workspace_option()
def pitch(
    readings: tuple[str, ...],
    list_tunings: bool,
    tuning: str | None,
    tradition: str | None,
    temperament: str | None,
    a4: float,
    fmt: str,
    workspace: Path | None,
) -> None:
    """What a notation sounds: string, fraction of its length, ratio, cents, Hz, note name.

    Each reading is taken alone; what only a score could say is said to be open. Exit status 1 if one cannot be read.

    \b
    Examples:
      guqin pitch 大九勾四 散挑七
      guqin pitch 撮大七七散四 --tuning 蕤宾调 --format json
      guqin pitch 大七八挑五 --tradition between
      guqin pitch --tunings
    """
    grammar = reading_grammar(workspace)
    if list_tunings:
        _print_tunings(grammar, fmt)
        return
    if not readings:
        raise UsageError("no reading given", hint="guqin pitch --help shows examples")
    found = [_pitch_json(text, grammar, tuning, tradition, temperament, a4) for text in readings]
    if fmt == "json":
        echo_json(found)
    else:
        notes = next((item["tuning"] for item in found if "tuning" in item), None)
        if notes is not None:
            _say_tuning(notes)
        for item in found:
            _print_pitch(item)
    leave(1 if any("error" in item for item in found) else 0)


def _pitch_json(
    text: str, grammar: Grammar, tuning: str | None, tradition: str | None, temperament: str | None, a4: float
) -> dict[str, Any]:
    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.notation.parse import analyse
    from guqin_kg.sound.pitch import pitch as find

    try:
        notation = analyse(text, grammar).notation
    except ReadingError as error:
        detail = error.to_json()
        detail.pop("reading", None)
        return {"reading": text, "error": detail}
    report = find(notation, grammar.inventory, tuning=tuning, tradition=tradition, temperament=temperament, a4=a4)
    return {"reading": text, "iri": notation_iri(notation, grammar), "form": notation.form, **report.to_json()}


def _say_tuning(tuning: dict[str, Any]) -> None:
    strings = " ".join(f"{s['midi']:g}" for s in tuning["open_strings"])
    talk(
        f"{tuning['name']} ({tuning['id']}), {tuning['temperament']}, A4 = {tuning['a4']:g} Hz; "
        f"strings 1-7 MIDI {strings}"
    )
    for note in tuning["notes"]:
        talk(f"  note: {note}")


def _print_pitch(item: dict[str, Any]) -> None:
    if "error" in item:
        talk(f"{item['reading']}: {item['error']['message']}")
        if item["error"].get("hint"):
            talk(f"  hint: {item['error']['hint']}")
        return
    click.echo(item["reading"])
    for event in item["events"]:
        click.echo(f"  {_sentence(event)}")
    if not item["events"]:
        click.echo("  no sound of its own that this reading alone determines")
    for line in item["open"]:
        click.echo(f"  open: {line}")
    for finding in item["findings"]:
        click.echo(f"  {finding['severity']} {finding['rule']}: {finding['message']}")


def _sentence(event: dict[str, Any]) -> str:
    where = f"string {event['string']}" if event["string"] else "string not said"
    at = f" at {event['fraction']}" if event["fraction"] else ""
    head = f"{event['role']}: {where}, {event['sound'] or 'sound not said'}{at}"
    if event["cents"] is None:
        return f"{head}; pitch not determined"
    tail = f"{head}; ratio {event['ratio']}, {event['cents']:.2f} cents above the open string"
    if event["midi"] is None:
        return tail
    span = f" (sources: {' to '.join(event['range']['notes'])})" if "range" in event else ""
    return f"{tail}, {event['hz']:.2f} Hz, {event['note']} {event['deviation_cents']:+.1f}{span}"


def _print_tunings(grammar: Grammar, fmt: str) -> None:
    from guqin_kg.sound.tuning import note_name, tunings

    known = tunings(grammar.inventory)
    if fmt == "json":
        echo_json(
            [
                {
                    "id": t.id,
                    "name": t.name,
                    "aliases": list(t.aliases),
                    "midi": list(t.midi),
                    "confidence": t.confidence,
                    "notes": list(t.notes),
                }
                for t in known
            ]
        )
        return
    for tuning in known:
        click.echo(f"{tuning.name} ({tuning.id})  {' '.join(note_name(m) for m in tuning.midi)}")
        if tuning.aliases:
            click.echo(f"  also: {', '.join(tuning.aliases)}")
        for note in tuning.notes:
            click.echo(f"  note: {note}")


@click.command()
@click.argument("readings", nargs=-1, required=True, metavar="READING …")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="WAV, FLAC or MIDI file: one phrase.")
@click.option("--each", type=click.Path(path_type=Path, file_okay=False), help="Folder: one file a reading, alone.")
@click.option("--as", "kind", type=click.Choice(["wav", "flac"]), default="wav", show_default=True, help="With --each.")
@click.option("--tempo", type=float, default=60.0, show_default=True, help="Beats a minute.")
@click.option("--strings", "material", help="String material of the graph: silk (default) or steel.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same bytes.")
@_tuning_options
@format_option("text", "json")
@workspace_option()
def play(
    readings: tuple[str, ...],
    out: Path | None,
    each: Path | None,
    kind: str,
    tempo: float,
    material: str | None,
    seed: int,
    tuning: str | None,
    tradition: str | None,
    temperament: str | None,
    a4: float,
    fmt: str,
    workspace: Path | None,
) -> None:
    """Sound notations: one, or several as a phrase in which fields are carried from one to the next.

    With --each every reading is sounded alone into a file of its own, for models that listen; "-" reads one notation a
    line from standard input.

    \b
    Examples:
      guqin play 大九绰勾四 --out note.wav
      guqin play 散挑七 名十勾五 上九 吟 撮大七七散四 --out phrase.wav --tempo 72
      guqin play 泛起 大七勾二 挑七 泛止 --strings steel --out harmonics.wav
      cat names.txt | guqin play - --each sounds --as flac
    """
    from guqin_kg.score.context import interpret
    from guqin_kg.score.read import Row, Score

    if (out is None) == (each is None):
        raise UsageError("give --out FILE or --each DIR", hint="guqin play --help shows examples")
    if readings == ("-",):
        readings = tuple(line.strip() for line in sys.stdin if line.strip())
    grammar = reading_grammar(workspace)
    settings: dict[str, Any] = {"tuning": tuning, "tradition": tradition, "temperament": temperament, "a4": a4}
    if each is not None:
        _play_each(readings, each, grammar, material, seed, fmt, {**settings, "ending": f".{kind}"})
        return
    assert out is not None
    _check_out(out, (".wav", ".flac", ".mid", ".midi"))
    rows = tuple(Row(n, str(n), main=text) for n, text in enumerate(readings, 1))
    found = interpret(Score("readings", rows), grammar, **settings)
    bad = [e for e in found.events if e.notation is None]
    if bad:
        raise ReadingError(f"{bad[0].text}: {bad[0].error}", hint="nothing was written")
    for event, finding in found.findings:
        if finding.severity != "info":
            talk(f"{finding.severity} {finding.rule} at {event.text if event else 'the end'}: {finding.message}")
    for event in found.events:
        for line in event.result.left_open:
            talk(f"open at {event.text}: {line}")
    said = _write(found, grammar, out, tempo, material, seed)
    if fmt == "json":
        echo_json({**said, "events": [e.to_json(found.strings) for e in found.events]})
    else:
        click.echo(f"{out}: " + ", ".join(f"{k} {v}" for k, v in said.items() if k != "out"))


def _play_each(
    readings: tuple[str, ...],
    folder: Path,
    grammar: Grammar,
    material: str | None,
    seed: int,
    fmt: str,
    settings: dict[str, Any],
) -> None:
    """One file a reading; what has no pitch of its own is named and left out."""
    from guqin_kg.score.export import write_each

    folder.mkdir(parents=True, exist_ok=True)
    rows = list(write_each(readings, folder, grammar, strings=material, seed=seed, **settings))
    skipped = [row for row in rows if "error" in row]
    for row in skipped:
        talk(f"{row['reading']}: {row['error']}")
    if fmt == "json":
        echo_json(rows)
    else:
        click.echo(f"{len(rows) - len(skipped)} files in {folder}, {len(skipped)} without a sound of their own")
    leave(1 if any(row.get("unread") for row in rows) else 0)


def _check_out(out: Path, kinds: tuple[str, ...]) -> None:
    if out.suffix.lower() not in kinds:
        raise UsageError(f"cannot write {out.suffix or 'a file without ending'}", hint=f"endings: {', '.join(kinds)}")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}", hint="make it first")


def _write(
    found: Interpretation, grammar: Grammar, out: Path, tempo: float, material: str | None, seed: int
) -> dict[str, Any]:
    """Write one output; returns what was written."""
    from guqin_kg.score import export

    kind = out.suffix.lower()
    said: dict[str, Any] = {"out": str(out)}
    if kind in (".wav", ".flac"):
        from guqin_kg.sound.wav import RATE, write_audio

        samples = export.audio(found, grammar.inventory, bpm=tempo, strings=material, seed=seed)
        write_audio(out, samples)
        said |= {"seconds": round(len(samples) / RATE, 2), "rate": RATE}
    elif kind in (".mid", ".midi"):
        export.write_midi(found, out, bpm=tempo)
    elif kind == ".musicxml":
        title = found.score.comments[0].split(",")[0].split("。")[0] if found.score.comments else None
        export.write_musicxml(found, out, title)
    elif kind == ".ttl":
        from guqin_kg.score.turtle import piece_iri, write_turtle

        write_turtle(found, grammar, out)
        said["iri"] = piece_iri(found)
    else:
        from guqin_kg.score.page import write_page

        write_page(found, grammar, out)
    return said


@click.command()
@click.argument("file", metavar="FILE|IRI")
@click.option(
    "--out",
    "outs",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write F.wav, F.flac, F.mid, F.musicxml, F.html, F.pdf or F.ttl (may be given several times).",
)
@click.option("--tempo", type=float, default=60.0, show_default=True, help="Beats a minute, for sound and MIDI.")
@click.option("--strings", "material", help="String material of the graph: silk (default) or steel.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same bytes.")
@_tuning_options
@format_option("text", "json")
@workspace_option()
def score(
    file: str,
    outs: tuple[Path, ...],
    tempo: float,
    material: str | None,
    seed: int,
    tuning: str | None,
    tradition: str | None,
    temperament: str | None,
    a4: float,
    fmt: str,
    workspace: Path | None,
) -> None:
    """Read a score in context: what is carried, what each note sounds, what stays open, what breaks a rule.

    FILE is CSV (a column named reading, abbreviated or full; side_notes, jianpu, mode, section where there are any),
    text (readings parted by spaces or lines), or Turtle with a gq:MusicNotation; an IRI names one of the graph. Exit
    status 1 if a hard rule is broken or a reading cannot be read.

    \b
    Examples:
      guqin score chunxiaoyin.csv
      guqin score chunxiaoyin.csv --format json --out chunxiaoyin.wav --out chunxiaoyin.mid
      guqin score wushenqinpu.csv --tradition between --out page.html
    """
    from guqin_kg.score.context import interpret
    from guqin_kg.score.report import print_report, report_json

    for out in outs:
        _check_out(out, _WRITERS)
    grammar = reading_grammar(workspace)
    found = interpret(
        _read_score(file, grammar),
        grammar,
        tuning=tuning,
        tradition=tradition,
        temperament=temperament,
        a4=a4,
    )
    data = report_json(found, grammar)
    written = []
    for out in outs:
        written.append(_write(found, grammar, out, tempo, material, seed))
        talk(f"wrote {out}")
    data["written"] = written
    if fmt == "json":
        echo_json(data)
    else:
        print_report(data, click.echo)
    broken = any(f["severity"] == "violation" or f["rule"] == "reading" for f in data["findings"])
    leave(1 if broken else 0)


def _read_score(file: str, grammar: Grammar) -> Any:
    from guqin_kg.inventory import GQR
    from guqin_kg.score.read import read_music, read_score

    path = Path(file)
    if not path.exists() and (file.startswith(("http://", "https://", "gqr:"))):
        iri = GQR + file[4:] if file.startswith("gqr:") else file
        return read_music(grammar.inventory.view, iri, "the graph")
    try:
        return read_score(path)
    except IsADirectoryError:
        raise GuqinKGError(f"{file} is a folder", hint="give a file") from None

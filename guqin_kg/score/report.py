"""What ``guqin score`` says: one object for programs, a page of text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from guqin_kg.notation.grammar import Grammar
from guqin_kg.score.compare import compare
from guqin_kg.score.context import Interpretation
from guqin_kg.sound.pitch import tuning_json
from guqin_kg.sound.position import BETWEEN, fingerboard


def report_json(found: Interpretation, grammar: Grammar) -> dict[str, Any]:
    """Events, findings with their place, counts, and the comparison with numbered notation where there is one."""
    board = fingerboard(grammar.inventory)
    names = {b.number: b.name for b in grammar.inventory.by_role("hui") if b.number}
    compared = compare(found, board, names)
    sounds = [s for e in found.events for s in e.result.sounds]
    pitched = [s for s in sounds if s.midi(found.strings) is not None]
    notes = []
    if found.tradition == BETWEEN:
        notes.append(
            "two-digit positions are read as lying between two hui; even a hui written alone need not be exact in such "
            "a source"
        )
    for title, tradition in sorted(board.sources.items()):
        if tradition != found.tradition and any(title in comment for comment in found.score.comments):
            notes.append(
                f"the file names {title}, whose positions are meant otherwise ({tradition}): if these are its own, use "
                f"--tradition {title}"
            )
    return {
        "source": found.score.source,
        "comments": list(found.score.comments),
        "tuning": tuning_json(found.strings),
        "tradition": found.tradition,
        "notes": notes,
        "counts": {
            "events": len(found.events),
            "unread": sum(e.notation is None for e in found.events),
            "sounds": len(sounds),
            "with_pitch": len(pitched),
            "open_statements": sum(len(e.result.left_open) for e in found.events),
            "forms": dict(sorted(Counter(e.notation.form for e in found.events if e.notation).items())),
            "carried": dict(sorted(Counter(k for e in found.events for k in e.result.carried).items())),
            "played": len(found.order),
        },
        "events": _events(found, compared),
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "index": event.index if event else None,
                "no": event.row.number if event else None,
                "line": event.row.line if event else None,
                "section": event.row.section if event else None,
                "reading": event.text if event else None,
                "message": finding.message,
            }
            for event, finding in found.findings
        ],
        "comparison": compared.to_json() if compared is not None else None,
    }


def _events(found: Interpretation, compared: Any) -> list[dict[str, Any]]:
    out = [event.to_json(found.strings) for event in found.events]
    for pair in compared.pairs if compared is not None else ():
        out[pair.event.index].setdefault("difference_cents", []).append(round(pair.cents, 2))
    return out


def print_report(data: dict[str, Any], echo: Callable[[str], None]) -> None:
    """Print the report as text."""
    tuning = data["tuning"]
    echo(f"{data['source']}: {tuning['name']}, {tuning['temperament']}, positions {data['tradition']}")
    for note in (*tuning["notes"], *data["notes"]):
        echo(f"  note: {note}")
    section = object()
    for event in data["events"]:
        if event["section"] != section:
            section = event["section"]
            if section:
                echo(f"[{section}]")
        echo(_line(event))
    counts = data["counts"]
    echo(
        f"{counts['events']} events ({counts['unread']} unread), {counts['sounds']} sounds, "
        f"{counts['with_pitch']} with a pitch, {counts['open_statements']} open questions"
    )
    for finding in data["findings"]:
        where = f"no. {finding['no']} (line {finding['line']}) {finding['reading']}" if finding["no"] else "the end"
        echo(f"{finding['severity']} {finding['rule']} at {where}: {finding['message']}")
    if data["comparison"]:
        _comparison(data["comparison"], echo)


def _line(event: dict[str, Any]) -> str:
    mark = "  " if event["kind"] == "main" else "    "
    head = f"{mark}{event['no']:>5} {event['reading']}"
    if "error" in event:
        return f"{head}: {event['error']}"
    parts = []
    shown: list[str] = []
    for pitch in event["pitches"]:
        name = f"{pitch['string'] or '?'}:{pitch['note'] or '?'}"
        if pitch["note"] is not None and abs(pitch["deviation_cents"]) >= 5:
            name += f"{pitch['deviation_cents']:+.0f}"
        if pitch["sound"] == "harmonic":
            name += "°"
        shown.append(name)
    if shown:
        parts.append(" ".join(shown))
    if event["carried"]:
        parts.append("carried " + ", ".join(f"{k} {_short(v)}" for k, v in event["carried"].items()))
    if event["open"]:
        parts.append("open: " + "; ".join(event["open"]))
    if "difference_cents" in event:
        parts.append("jianpu " + " ".join(f"{c:+.0f}" for c in event["difference_cents"]))
    return head + ("  " + " | ".join(parts) if parts else "")


def _short(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)


def _comparison(data: dict[str, Any], echo: Callable[[str], None]) -> None:
    parts = [
        f"{label} {data[key]['within_tolerance']} of {data[key]['compared']}"
        for key, label in (("notes", "plucked notes"), ("left_hands", "left-hand sounds"), ("slides", "slides"))
        if data[key]["compared"]
    ]
    echo(f"numbered notation: within {data['tolerance_cents']:g} cents: {', '.join(parts)}")
    for slip in data["slips"]:
        echo(f"  slip: {slip['message']}")
    for miss in data["misses"]:
        why = f"with {miss['slip']} it would agree" if miss["slip"] else "no slip of position explains it"
        if miss["octaves"]:
            why = f"the two are {abs(miss['octaves'])} octave(s) apart"
        echo(
            f"  no. {miss['no']} (line {miss['line']}) {miss['reading']}: {miss['cents']:+.0f} cents from "
            f"{miss['jianpu']} ({miss['expected_note']}); {why}"
        )

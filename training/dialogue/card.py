"""The card of a dialogue model: how it was made and what it has right, from its ``training.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from guqin_kg.errors import DataError, NotFoundError
from guqin_kg.recognise.weights import read_json

_BLANK = "blank picture"


def add(folder: Path, label: str, report: Mapping[str, Any]) -> None:
    """Enter measures under a label (they replace those of that label) and write the card again.

    Raises:
        NotFoundError: the folder has no ``training.json``.
        DataError: it is damaged, or lacks what a card tells; nothing is written.
    """
    path = folder / "training.json"
    if not path.is_file():
        raise NotFoundError(f"no training.json in {folder}", hint="only models of `guqin train dialogue` have a card")
    about = read_json(path)
    try:
        about["figures"].setdefault("evaluations", {})[label] = {k: v for k, v in report.items() if k != "model"}
        card = write(about)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"damaged: {what}", code="bad-model", file=path, hint="copy the folder again, or train it anew"
        ) from None
    _replace(path, json.dumps(about, ensure_ascii=False, indent=1) + "\n")
    _replace(folder / "README.md", card)


def language(folder: Path) -> str | None:
    """In which language a model of ours was taught, by its ``training.json``; None where that is not known."""
    try:
        found = json.loads((folder / "training.json").read_text("utf-8"))["config"]["lang"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _replace(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, "utf-8")
    part.replace(path)


def write(about: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    config, figures = about["config"], about["figures"]
    how = f"LoRA rank {config['lora']['rank']}" if config["lora"] else "all weights"
    if not config["base"]:
        how = "a new decoder; the vision tower is the encoder of the recogniser bundled then"
    if config.get("tower"):
        how += f"; the tower is now the {about.get('tower') or 'encoder of the ' + config['tower'] + ' recogniser'}"
    if about.get("recogniser"):
        how += f" (weights `{about['recogniser']}`)"
    how += ", the tower frozen" if config["freeze_vision"] else ""
    lines = [
        "# Dialogue model for guqin tablature",
        "",
        "Looks at the picture of one jianzi and answers questions about it, in the words of the graph's dialogues.",
        "",
        f"- Command: `{about['command'] or 'guqin train dialogue'}`, seed {config['seed']}",
        f"- Graph: `{about['graph']}`",
        f"- Base: {config['base'] or 'none'}; trained: {how}" + _before(about.get("started_from")),
        f"- Data: {figures['train_notations']} notations for training, {figures['held_out_notations']} held out (by "
        "their IRI; the recogniser's encoder may have seen drawn pictures of any notation); "
        f"turns: {config['dialogues']}, language {config['lang']}; pictures drawn "
        f"({', '.join(config['presets'])}), {config['images_each']} each; no real picture",
        f"- Steps: {figures['steps']} of {config['batch']}, last training loss {figures['loss']}, "
        f"{figures['minutes']} minutes ({config['clock']} clock)",
        "- Licence: that of the software (Apache 2.0); what it learnt from, the graph's sentences, is CC BY 4.0",
        f"- Limits: one glyph a picture; drawn pictures only; conversations of {config['turns_each'] or 'all'} turns, "
        "so longer ones are answered worse. Not for deciding what an unclear print says: "
        "use `guqin recognize` for that.",
    ]
    reports = dict(figures.get("evaluations") or {})
    if not reports and figures.get("evaluation"):
        reports = {"at the end of training": figures["evaluation"]}
    if reports:
        lines += [
            "",
            "Held-out notations, each question asked alone; answers parsed back and compared with the graph:",
            "",
        ]
        lines += _table(reports)
    return "\n".join(lines) + "\n"


def _before(earlier: Mapping[str, Any] | None) -> str:
    """Where the base itself came from, when the run replaced a bundled model: its stages, the latest first."""
    out = ""
    while earlier:
        out += (
            f". {'Before it' if out else 'That base was made by'} `{earlier['command']}` (seed {earlier['seed']}): "
            f"{earlier['steps']} steps in {earlier['minutes']} minutes of its last part"
        )
        earlier = earlier.get("started_from")
    return out


def _table(reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    columns: dict[str, Mapping[str, Any]] = {}
    for label, report in reports.items():
        columns[f"{label}, {report['notations']} notations"] = report["facts"]
        if report.get("blank_picture"):
            columns[f"{label}, {_BLANK}"] = report["blank_picture"]
    facts = sorted({fact for rows in columns.values() for fact in rows}, key=_order)
    out = ["| fact | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for fact in facts:
        cells = []
        for rows in columns.values():
            row = rows.get(fact)
            cells.append(f"{row['share']:.3f} ({row['right']}/{row['asked']})" if row else "")
        out.append(f"| {fact} | " + " | ".join(cells) + " |")
    return out


def _order(fact: str) -> tuple[int, str]:
    first = ("whole", "facts", "finger", "hui", "string", "technique", "sound")
    return (first.index(fact), "") if fact in first else (len(first), fact)

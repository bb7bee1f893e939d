"""Drawings of the notations that the dialogues speak of, with labels beside them: redrawn only where an edit touched.

What a drawing depends on is read from the graph's records: the written forms of its components, the layout and outline
statements, the style.  A hash over these stands in ``images/labels.jsonl``; equal hash, nothing is drawn.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.dialogue.generate import image_path
from guqin_kg.errors import DataError
from guqin_kg.graph.journal import write_file

if TYPE_CHECKING:
    from guqin_kg.graph.workspace import Workspace

LABELS = "labels.jsonl"
SIZE = 224
PRESET = "clean"
STYLE = "kai"
#: Layout and outlines are shared by all drawings; a change of one of these files redraws all.
_SHARED = ("layout", "outlines")


def _read_labels(path: Path) -> dict[str, dict[str, Any]]:
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return {}
    return {row["iri"]: row for row in rows if "iri" in row}


def _shared_digest(files: Iterable[Path]) -> str:
    from guqin_kg import resources

    return resources.digest([f for f in files if f.stem in _SHARED])


def update_drawings(
    ws: Workspace, out: Path, notations: Sequence[tuple[str, str]], say: Callable[[str], None] | None = None
) -> dict[str, int]:
    """Draw what is missing or stale, remove what is gone, and write the labels.

    Args:
        out: the output folder; drawings go to ``images/`` in it.
        notations: IRI and reading of what should be there.

    Returns:
        Counts: drawn, unchanged, removed, undrawable (no written form is known for a component).
    """
    from guqin_kg.inventory import load_inventory
    from guqin_kg.notation.components import parts
    from guqin_kg.notation.grammar import grammar_of
    from guqin_kg.notation.parse import parse

    inventory = load_inventory(base=ws.sign_files())
    grammar = grammar_of(inventory)
    shared = _shared_digest(ws.ontology_files())
    known = _read_labels(out / "images" / LABELS)
    forms = {base.name: repr((base.forms, base.layout_role)) for base in inventory.bases}
    rows: list[dict[str, Any]] = []
    count = {"drawn": 0, "unchanged": 0, "removed": 0, "undrawable": 0}
    engine: Any = None
    for iri, reading in notations:
        try:
            notation = parse(reading, grammar)
        except DataError:
            count["undrawable"] += 1
            continue
        inputs = [
            shared,
            PRESET,
            STYLE,
            str(SIZE),
            reading,
            *(forms.get(p.name, p.name) for p in parts(notation, grammar)),
        ]
        digest = hashlib.blake2b("\x1f".join(inputs).encode(), digest_size=8).hexdigest()
        path = out / image_path(iri)
        old = known.get(iri)
        if old is not None and old["digest"] == digest and path.exists():
            rows.append(old)
            count["unchanged"] += 1
            continue
        if engine is None:
            from guqin_kg.draw.engine import Engine

            engine = Engine(grammar)
            if say:
                say("drawing …")
        try:
            rows.append(
                {**_draw(notation, reading, path, engine), "iri": iri, "image": image_path(iri), "digest": digest}
            )
        except DataError:
            count["undrawable"] += 1
            continue
        count["drawn"] += 1
    wanted = {row["iri"] for row in rows}
    for iri in known.keys() - wanted:
        (out / image_path(iri)).unlink(missing_ok=True)
        count["removed"] += 1
    if count["drawn"] or count["removed"]:
        lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) for row in sorted(rows, key=lambda r: r["iri"])]
        write_file(out / "images" / LABELS, ("\n".join(lines) + "\n").encode())
    return count


def _draw(notation: Any, reading: str, path: Path, engine: Any) -> dict[str, Any]:
    from guqin_kg.draw import draw_spec, sample_spec
    from guqin_kg.draw.labels import record

    spec = sample_spec(notation, PRESET, 0, size=SIZE, styles=[STYLE], reading=reading, engine=engine)
    drawing = draw_spec(spec, engine)
    buffer = io.BytesIO()
    drawing.image().save(buffer, "PNG")
    write_file(path, buffer.getvalue())
    row: dict[str, Any] = record(drawing, engine.grammar, spec=False)
    return row

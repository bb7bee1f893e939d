"""A score as a page: glyphs in columns from right to left with what they sound (PDF), or line by line (HTML)."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import DataError
from guqin_kg.model import Notation
from guqin_kg.notation.grammar import Grammar
from guqin_kg.score.context import Event, Interpretation
from guqin_kg.score.report import report_json
from guqin_kg.sound.tuning import deviation, note_name

if TYPE_CHECKING:
    from PIL import Image

_WIDTH, _HEIGHT, _MARGIN = 1240, 1754, 100  # A4 at 150 dots an inch
_COLUMN, _MAIN, _SIDE, _LINE = 116, 76, 48, 17


def write_page(found: Interpretation, grammar: Grammar, path: Path) -> None:
    """Write the interpreted score as ``.html`` or ``.pdf``.

    Raises:
        DataError: the score holds nothing to show.
    """
    if not found.events:
        raise DataError("the score holds nothing to show", code="empty")
    data = _html(found, grammar) if path.suffix.lower() == ".html" else _pdf(found)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class Glyphs:
    """Drawn notations, each drawn once; None where a notation cannot be drawn."""

    def __init__(self) -> None:
        self._known: dict[tuple[Notation, int], Image.Image | None] = {}

    def get(self, notation: Notation | None, size: int) -> Image.Image | None:
        """The glyph at ``size`` pixels, grey."""
        if notation is None:
            return None
        key = (notation, size)
        if key not in self._known:
            from PIL import Image

            from guqin_kg.draw import draw_spec, sample_spec

            try:
                drawing = draw_spec(sample_spec(notation, "clean", 1, size=size))
                self._known[key] = Image.fromarray(drawing.pixels)
            except DataError:
                self._known[key] = None
        return self._known[key]


def pitch_text(event: Event, found: Interpretation) -> list[str]:
    """Notes of an event, one line each group: ``A3 +14``; a ring marks a harmonic, ``?`` what stays open."""
    lines: dict[int, list[str]] = {}
    for sound in event.result.sounds:
        midi = sound.midi(found.strings)
        text = "?"
        if midi is not None:
            cents = round(deviation(midi))
            text = (
                note_name(midi)
                + ("°" if sound.sound == "harmonic" else "")
                + (f"{cents:+d}" if abs(cents) >= 5 else "")
            )
        row = lines.setdefault(sound.group, [])
        if text not in row:
            row.append(text)
    out: list[str] = []
    for group in sorted(lines):
        text = " ".join(lines[group])
        if not out or out[-1] != text:
            out.append(text)
    return out


def _pdf(found: Interpretation) -> bytes:
    pages = list(_pages(found))
    out = io.BytesIO()
    pages[0].save(out, "PDF", save_all=True, append_images=pages[1:], resolution=150.0, creationDate=None, modDate=None)
    return out.getvalue()


def _pages(found: Interpretation) -> Iterator[Image.Image]:
    """Pages with columns from right to left, top to bottom, a new column at each section."""
    from PIL import Image, ImageDraw, ImageFont

    glyphs = Glyphs()
    small = ImageFont.load_default(14)
    page = Image.new("L", (_WIDTH, _HEIGHT), 255)
    draw = ImageDraw.Draw(page)
    x, y = _WIDTH - _MARGIN - _COLUMN, _MARGIN
    section: Any = found.events[0].row.section
    for event in found.events:
        size = _MAIN if event.kind == "main" else _SIDE
        lines = pitch_text(event, found) or ([] if event.notation else [f"no. {event.row.number}: ?"])
        height = size + _LINE * len(lines[:2]) + (18 if event.kind == "main" else 8)
        if y + height > _HEIGHT - _MARGIN or event.row.section != section:
            section = event.row.section
            x, y = x - _COLUMN, _MARGIN
            if x < _MARGIN - _COLUMN // 4:
                yield page
                page = Image.new("L", (_WIDTH, _HEIGHT), 255)
                draw = ImageDraw.Draw(page)
                x = _WIDTH - _MARGIN - _COLUMN
        left = x if event.kind == "main" else x + _MAIN - _SIDE + 6
        glyph = glyphs.get(event.notation, size)
        if glyph is not None:
            page.paste(glyph, (left, y))
        else:
            draw.text((left, y + size // 2), f"no. {event.row.number}", fill=90, font=small)
        for number, line in enumerate(lines[:2]):
            draw.text((left + 4, y + size + 2 + _LINE * number), line, fill=70, font=small)
        y += height
    yield page


_STYLE = """
body{font:16px/1.5 serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.2rem .6rem;border-bottom:1px solid #ddd;vertical-align:middle}
td.side{padding-left:2.2rem}
img{display:block}
.open{color:#7a4b00}
.violation{color:#a00000}
.warning{color:#7a4b00}
"""


def _html(found: Interpretation, grammar: Grammar) -> bytes:
    glyphs = Glyphs()
    data = report_json(found, grammar)
    first, *more = found.score.comments or (Path(found.score.source).stem,)
    title, _, rest = first.partition(". ")
    title = escape(title)
    about = "".join(f"<p>{escape(line)}</p>" for line in (rest, *more) if line)
    tuning = data["tuning"]
    rows = []
    section: Any = None
    for event, item in zip(found.events, data["events"], strict=True):
        if event.row.section != section:
            section = event.row.section
            rows.append(f'<tr><th colspan="5" scope="colgroup">{escape(str(section or ""))}</th></tr>')
        rows.append(_row(event, item, found, glyphs))
    findings = "".join(
        f'<li class="{f["severity"]}">{escape(f["rule"])}, no. {escape(str(f["no"]))} {escape(f["reading"] or "")}: '
        f"{escape(f['message'])}</li>"
        for f in data["findings"]
    )
    slips = "".join(f"<li>{escape(s['message'])}</li>" for s in (data["comparison"] or {}).get("slips", ()))
    notes = f"<ul>{findings}{slips}</ul>" if findings or slips else ""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("no.", "glyph", "reading", "sounds", "carried, open"))
    return (
        '<!doctype html><html lang="zh"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"{about}<p>{escape(tuning['name'])}, {escape(tuning['temperament'])}, "
        f"positions {escape(data['tradition'])}</p>{notes}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></body></html>\n"
    ).encode()


def _row(event: Event, item: dict[str, Any], found: Interpretation, glyphs: Glyphs) -> str:
    image = glyphs.get(event.notation, _MAIN if event.kind == "main" else _SIDE)
    picture = ""
    if image is not None:
        out = io.BytesIO()
        image.save(out, "PNG")
        code = base64.b64encode(out.getvalue()).decode("ascii")
        picture = f'<img alt="{escape(event.text)}" src="data:image/png;base64,{code}">'
    carried = ", ".join(f"{k} {v}" for k, v in item.get("carried", {}).items())
    open_ = "; ".join([*item["open"], *([item["error"]] if item.get("error") else [])])
    said = escape(carried) + (f' <span class="open">{escape(open_)}</span>' if open_ else "")
    side = ' class="side"' if event.kind != "main" else ""
    sounds = "<br>".join(escape(line) for line in pitch_text(event, found))
    return (
        f"<tr><td>{escape(event.row.number)}</td><td{side}>{picture}</td><td>{escape(event.text)}</td>"
        f"<td>{sounds}</td><td>{said}</td></tr>"
    )

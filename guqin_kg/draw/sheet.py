"""A page one can print: notations in columns, right to left and top to bottom, as books have them."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg.draw.engine import Engine, default_engine
from guqin_kg.draw.spec import Spec
from guqin_kg.draw.styles import available
from guqin_kg.draw.svg import _path, shapes
from guqin_kg.errors import UsageError, decoded
from guqin_kg.model import Notation
from guqin_kg.notation.listing import without_index

SUFFIXES = (".pdf", ".svg", ".png")


@dataclass(frozen=True, slots=True)
class Page:
    """Paper and grid, in points (1/72 inch); A4 by default. ``caption`` is the size of readings beside glyphs."""

    width: float = 595.0
    height: float = 842.0
    margin: float = 54.0
    column: float = 52.0
    glyph: float = 34.0
    gap: float = 9.0
    rules: bool = True
    caption: float = 6.0


@dataclass(slots=True)
class Laid:
    """One page: filled shapes (lists of polygons), rules ``(x0, y0, x1, y1)``, small captions ``(x, y, text)``."""

    shapes: list[list[np.ndarray]] = field(default_factory=list)
    rules: list[tuple[float, float, float, float]] = field(default_factory=list)
    captions: list[tuple[float, float, str]] = field(default_factory=list)


def read_names(path: Path) -> list[list[str]]:
    """Readings of a file: one or more a line, an index and a tab may stand before them, ``#`` begins a comment, an
    empty line begins a new column.

    Raises:
        UsageError: no readings in it, or not UTF-8.
    """
    groups: list[list[str]] = [[]]
    text = decoded(path.read_bytes(), UsageError, file=path, hint="save the list as UTF-8").removeprefix("\ufeff")
    for line in text.splitlines():
        words = without_index(line).split("#")[0].split()
        if words:
            groups[-1] += words
        elif groups[-1] and not line.lstrip().startswith("#"):
            groups.append([])
    groups = [g for g in groups if g]
    if not groups:
        raise UsageError(f"no readings in {path}", hint="one reading a line", file=path)
    return groups


def lay_out(
    groups: Sequence[Sequence[tuple[str, Notation]]],
    *,
    style: str = "kai",
    readings: bool = False,
    page: Page | None = None,
    engine: Engine | None = None,
) -> list[Laid]:
    """Place notations on pages.

    Args:
        groups: readings with their notations; each group begins a column.
        style: as ``guqin draw --style``.
        readings: whether each reading stands beside its glyph.
        page: paper and grid.
        engine: of another graph.

    Raises:
        MissingFormError, MissingOutlineError, NotFoundError: as ``draw_spec``.
    """
    page = page or Page()
    engine = engine or default_engine()
    pages = [_blank(page)]
    columns = max(1, int((page.width - 2 * page.margin) // page.column))
    column, y = 0, page.margin
    for number, group in enumerate(groups):
        if number:
            column, y = column + 1, page.margin
        for reading, notation in group:
            small = notation.form == "aside"
            tallest = page.glyph * (0.66 if small else 1.18)
            geometry = engine.geometry(
                Spec(notation, reading, style=style, size=512, frame="crop", margins=(0.0, 0.0, 0.0, 0.0))
            )
            scale = min(tallest / geometry.height, page.glyph * (0.6 if small else 1.0) / geometry.width)
            high = geometry.height * scale
            # a reading longer than its glyph is high needs the room, or it runs into the next
            room = max(high, page.caption * len(reading)) if readings else high
            if y + room > page.height - page.margin and y > page.margin:
                column, y = column + 1, page.margin
            if column >= columns:
                pages.append(_blank(page))
                column = 0
            right = page.width - page.margin - column * page.column
            middle = right - page.column / 2 + (4.5 if readings else 0.0)
            x = middle + page.glyph * 0.5 - geometry.width * scale if small else middle - geometry.width * scale / 2
            offset = np.array([x, y + (room - high) / 2])
            pages[-1].shapes += [
                [p * scale + offset for p in shape] for _, found in shapes(geometry) for shape in found
            ]
            if readings:
                pages[-1].captions.append((right - page.column + 2, y + room / 2, reading))
            y += room + page.gap
    return pages


def _blank(page: Page) -> Laid:
    laid = Laid()
    if page.rules:
        columns = max(1, int((page.width - 2 * page.margin) // page.column))
        top, bottom = page.margin - 8, page.height - page.margin + 8
        right = page.width - page.margin
        left = right - columns * page.column
        laid.rules = [(right - i * page.column, top, right - i * page.column, bottom) for i in range(columns + 1)]
        laid.rules += [(left, top, right, top), (left, bottom, right, bottom)]
    return laid


def _caption_shapes(laid: Laid, size: float) -> list[list[np.ndarray]]:
    """Captions as outlines of an installed font, top to bottom.

    Raises:
        UsageError: no font is installed that could write them, or none has one of their characters.
    """
    if not laid.captions:
        return []
    fonts = [s.font() for s in available() if not s.bundled and s.family in ("kai", "song")]
    if not fonts:
        raise UsageError(
            "readings beside the glyphs need a font in PDF and PNG, and none is installed",
            code="font-not-installed",
            hint="guqin fonts names some; or write .svg, or leave out --beside",
        )
    out = []
    for x, y, text in laid.captions:
        top = y - size * len(text) / 2
        whole = next((f for f in fonts if f and all(f.has(char) for char in text)), None)
        for i, char in enumerate(text):
            font = whole or next((f for f in fonts if f and f.has(char)), None)
            if font is None:
                raise UsageError(
                    f"{text}: no installed font has {char} (U+{ord(char):04X}) for the reading beside the glyph",
                    code="missing-outline",
                    hint="guqin fonts names fonts to install; or write .svg, or leave out --beside",
                )
            ink = font.ink(char)
            box = np.array([min(1.0, 1 / ink.height), min(1.0, ink.height)]) * size * 0.9
            at = np.array([x, top + i * size])
            out.append([ink.points[a:b].astype(float) * box + at for a, b in ink.lines])
    return out


def to_svg(laid: Laid, page: Page) -> str:
    """One page as SVG; captions are text."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{page.width:g}pt" height="{page.height:g}pt" '
        f'viewBox="0 0 {page.width:g} {page.height:g}">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        '<g stroke="#999" stroke-width=".5">',
        *[f'<path d="M{a:g} {b:g}L{c:g} {d:g}"/>' for a, b, c, d in laid.rules],
        "</g><g>",
        *[f'<path d="{"".join(_path(p) for p in shape)}"/>' for shape in laid.shapes],
        f'</g><g font-size="{page.caption:g}" fill="#555" writing-mode="vertical-rl" text-anchor="middle">',
        *[f'<text x="{x + page.caption / 2:g}" y="{y:g}">{escape(text)}</text>' for x, y, text in laid.captions],
        "</g></svg>",
        "",
    ]
    return "\n".join(lines)


def to_png(laid: Laid, page: Page, dots: float = 200.0) -> bytes:
    """One page as PNG at ``dots`` per inch."""
    from PIL import Image, ImageDraw

    k = dots / 72 * 2
    image = Image.new("L", (round(page.width * k), round(page.height * k)), 255)
    pen = ImageDraw.Draw(image)
    for a, b, c, d in laid.rules:
        pen.line((a * k, b * k, c * k, d * k), fill=150, width=max(1, round(k / 2)))
    for shape in [*laid.shapes, *_caption_shapes(laid, page.caption)]:
        for i, polygon in enumerate(shape):
            hole = i > 0 and _turns(polygon) != _turns(shape[0])
            pen.polygon((polygon * k).ravel().tolist(), fill=255 if hole else 0)
    buffer = io.BytesIO()
    image.reduce(2).save(buffer, "PNG", optimize=True, dpi=(dots, dots))
    return buffer.getvalue()


def _turns(polygon: np.ndarray) -> bool:
    x, y = polygon[:, 0], polygon[:, 1]
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) > 0


def to_pdf(pages: Sequence[Laid], page: Page) -> bytes:
    """All pages as one PDF with vector outlines (no fonts embedded)."""
    objects: list[bytes] = []

    def add(body: bytes) -> int:
        objects.append(body)
        return len(objects)

    catalogue, tree = add(b""), add(b"")
    kids = []
    for laid in pages:
        parts = ["0.5 w 0.6 G"]
        parts += [f"{a:.2f} {page.height - b:.2f} m {c:.2f} {page.height - d:.2f} l S" for a, b, c, d in laid.rules]
        parts.append("0 g")
        for shape in [*laid.shapes, *_caption_shapes(laid, page.caption)]:
            for polygon in shape:
                points = [f"{x:.2f} {page.height - y:.2f}" for x, y in polygon.tolist()]
                parts.append(points[0] + " m " + " ".join(f"{p} l" for p in points[1:]) + " h")
            parts.append("f")
        stream = zlib.compress("\n".join(parts).encode(), 9)
        content = add(b"<</Length %d/Filter/FlateDecode>>\nstream\n%s\nendstream" % (len(stream), stream))
        box = f"[0 0 {page.width:g} {page.height:g}]"
        kids.append(
            add(f"<</Type/Page/Parent {tree} 0 R/MediaBox{box}/Contents {content} 0 R/Resources<<>>>>".encode())
        )
    objects[catalogue - 1] = f"<</Type/Catalog/Pages {tree} 0 R>>".encode()
    objects[tree - 1] = f"<</Type/Pages/Count {len(kids)}/Kids[{' '.join(f'{k} 0 R' for k in kids)}]>>".encode()
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % place for place in places))
    out.write(b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return out.getvalue()


def write_sheet(pages: Sequence[Laid], path: Path, page: Page | None = None) -> list[Path]:
    """Write pages to ``.pdf`` (one file), ``.svg`` or ``.png`` (further pages are numbered ``-2`` …).

    Raises:
        UsageError: another suffix.
    """
    page = page or Page()
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"a sheet is {', '.join(SUFFIXES)}, not {path.name!r}", hint="--out sheet.pdf")
    files: list[tuple[Path, Any]] = []
    if suffix == ".pdf":
        files.append((path, to_pdf(pages, page)))
    else:
        for i, laid in enumerate(pages):
            name = path if i == 0 else path.with_name(f"{path.stem}-{i + 1}{path.suffix}")
            files.append((name, to_svg(laid, page).encode() if suffix == ".svg" else to_png(laid, page)))
    for name, data in files:
        write_bytes(name, data)
    return [name for name, _ in files]


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: names the file; an earlier one is intact.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        part.unlink(missing_ok=True)

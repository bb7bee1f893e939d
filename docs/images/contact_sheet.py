"""Draw the contact sheet docs/images/drawing-forms.png: forty notations of all forms beside their layout.

    python docs/images/contact_sheet.py [--style NAME] [--out FILE]

Captions need an installed font with Chinese characters (``guqin fonts``); the glyphs need none.
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from guqin_kg.draw import default_engine, draw_spec, ids, sample_spec
from guqin_kg.draw.fonts import find
from guqin_kg.draw.strokes import read_strokes
from guqin_kg.notation.parse import parse

ROWS = [
    ("大九勾四", "finger, hui / hook round string"),
    ("大九挑七", "finger, hui / hook from below"),
    ("名十打二", "bar and right leg over string"),
    ("大七擘六", "three sides from upper left"),
    ("食四抹四", "tree over string, flattened"),
    ("中十剔一", "frame crossed by hook"),
    ("名九摘四", "cover, parting, leg"),
    ("跪六托七", "hook of three strokes"),
    ("散勾三", "open sign on top"),
    ("散挑七", "open sign on top, hook below"),
    ("勾三", "carried: fills the square"),
    ("四", "bare string number"),
    ("就挑六", "arrived position on top"),
    ("名六二抹六", "hui over fen"),
    ("大八半擘四", "hui over half"),
    ("大十二勾四", "ten over two = hui 12"),
    ("大十八挑四", "ten over eight = 10.8"),
    ("名外挑四", "outside sign in hui slot"),
    ("大九绰勾三", "slide sign between halves"),
    ("名十八注抹五", "slide sign left of lower half"),
    ("急大九挑七", "modifier over right hand"),
    ("散历七六", "run: strings stacked in cliff"),
    ("抹挑五", "two strokes, one string"),
    ("勾剔二", "cover over frame and hook"),
    ("勾间勾三", "hook with gap sign, hook"),
    ("大五轮三", "figure over string"),
    ("散蠲三", "figure over string"),
    ("大九罨间勾四", "tap, gap sign, hook"),
    ("滚六一", "roll: end points"),
    ("拨剌一", "two figures over digit"),
    ("撮六一", "stem with an arm each side"),
    ("撮大七六散三", "stem; stopped arm, open arm"),
    ("泛撮六一", "harmonic sign on top"),
    ("拨大七六七散六", "arms without a stem"),
    ("掐撮三声", "fixed two-hand word"),
    ("名十对起", "left-hand sound, no string"),
    ("上七九", "aside with its target"),
    ("猱撞上八下九", "aside of two columns"),
    ("泛起", "mark"),
    ("从头再作", "mark"),
]
COLUMNS, CELL, GLYPH = 5, (300, 150), 124
COLOURS = {
    "left_finger": "#c0392b", "hui": "#d68910", "right_hand": "#1f618d", "left_hand": "#7d3c98",
    "sound": "#148f77", "string": "#239b56", "both_hands": "#884ea0",
}  # fmt: skip


def caption_fonts() -> list[ImageFont.FreeTypeFont]:
    """Fonts for the captions: Chinese first, then one that has the description characters."""
    names = ("LXGWWenKai-Regular.ttf", "ukai.ttc", "HanaMinA.ttf", "HanaMinB.ttf")
    paths = [path for name in names if (path := find((name,)))]
    if not paths:
        raise SystemExit("captions need a Chinese font: see `guqin fonts`")
    return [ImageFont.truetype(str(path), 19) for path in paths]


@cache
def characters(path: str) -> frozenset[int]:
    """Code points a font has."""
    from fontTools.ttLib import TTFont

    return frozenset(TTFont(path, fontNumber=0, lazy=True).getBestCmap())


def text(pen: ImageDraw.ImageDraw, at: tuple[float, float], line: str, fonts: list[ImageFont.FreeTypeFont]) -> None:
    """Write ``line`` with the first font that has each character."""
    maps = [characters(str(f.path)) for f in fonts]
    x, y = at
    for char in line:
        font = next((f for f, known in zip(fonts, maps, strict=True) if ord(char) in known), None)
        if font is None:  # rare characters: the centre lines of the graph
            ink = read_strokes(default_engine().outlines.strokes[char])
            for a, b in ink.lines:
                pen.line([(x + 2 + 14 * u, y + 3 + 15 * v) for u, v in ink.points[a:b].tolist()], fill="#222", width=1)
            x += 19
            continue
        pen.text((x, y), char, font=font, fill="#222")
        x += font.getlength(char)


def main() -> None:
    """Draw the sheet."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--style", default="kai")
    options.add_argument("--out", type=Path, default=Path(__file__).with_name("drawing-forms.png"))
    given = options.parse_args()
    fonts = caption_fonts()
    small = ImageFont.truetype(fonts[0].path, 14)
    rows = -(-len(ROWS) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * CELL[0], rows * CELL[1]), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (reading, words) in enumerate(ROWS):
        x, y = (i % COLUMNS) * CELL[0] + 10, (i // COLUMNS) * CELL[1] + 12
        drawing = draw_spec(sample_spec(parse(reading), "clean", 0, size=GLYPH, styles=[given.style]))
        sheet.paste(drawing.image().convert("RGB"), (x, y))
        for role, (bx, by, bw, bh) in zip(drawing.roles, drawing.boxes.tolist(), strict=True):
            pen.rectangle((x + bx - 1, y + by - 1, x + bx + bw, y + by + bh), outline=COLOURS.get(role, "#888"))
        text(pen, (x + GLYPH + 8, y + 8), reading, fonts)
        sequence = ids(drawing.layout.tree)
        for n in range(0, len(sequence), 8):
            text(pen, (x + GLYPH + 8, y + 36 + 24 * (n // 8)), sequence[n : n + 8], fonts)
        line = 40 + 24 * (-(-len(sequence) // 8))
        words_in_lines: list[str] = [""]
        for word in words.split():
            if small.getlength(f"{words_in_lines[-1]} {word}") > CELL[0] - GLYPH - 30:
                words_in_lines.append("")
            words_in_lines[-1] = f"{words_in_lines[-1]} {word}".strip()
        for n, part in enumerate(words_in_lines):
            pen.text((x + GLYPH + 8, y + line + 17 * n), part, font=small, fill="#666")
    sheet.quantize(64).save(given.out, optimize=True)
    print(given.out, given.out.stat().st_size)  # noqa: T201


if __name__ == "__main__":
    main()

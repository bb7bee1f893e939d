"""Rules, specks and scraps of neighbours beside a glyph are left out, and nothing of the glyph is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from guqin_kg.draw import draw_spec, sample_spec
from guqin_kg.notation.parse import parse
from guqin_kg.recognise.images import fit, ink_box, to_ink
from guqin_kg.recognise.surroundings import without_rules

INK = 90
GLYPH = (30, 20, 70, 100)


def picture() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """A glyph of some strokes in the middle of paper of 100 x 120."""
    image = Image.new("L", (100, 120), 230)
    draw = ImageDraw.Draw(image)
    x0, y0, x1, y1 = GLYPH
    draw.line((x0, y0, x1 - 1, y0), fill=20, width=1)
    draw.line((50, y0, 50, y1 - 1), fill=20, width=4)
    draw.line((x0, 70, x1 - 1, 62), fill=20, width=5)
    draw.line((x0, y1 - 1, x1 - 1, y1 - 1), fill=20, width=1)
    return image, draw


@pytest.mark.parametrize(
    "lines",
    [
        [(3, 0, 3, 119)],
        [(96, 0, 96, 119)],
        [(2, 0, 2, 119), (97, 0, 97, 119)],
        [(4, 0, 8, 119)],
        [(0, 0, 0, 55), (0, 62, 0, 119)],
    ],
    ids=["left", "right", "both", "slanting", "broken"],
)
def test_a_rule_is_wiped_out(lines: list[tuple[int, int, int, int]]) -> None:
    image, draw = picture()
    plain = fit(np.asarray(image), 64, 48)
    for line in lines:
        draw.line(line, fill=40, width=3)
    ruled = fit(np.asarray(image), 64, 48)
    assert np.abs(ruled.pixels.astype(int) - plain.pixels.astype(int)).max() < 40
    assert ruled.to_file((0, 0, 1, 1)) == plain.to_file((0, 0, 1, 1))


def test_a_rule_that_a_stroke_touches_is_wiped_out_too() -> None:
    image, draw = picture()
    draw.line((12, 70, 30, 70), fill=20, width=4)
    draw.line((10, 0, 10, 119), fill=40, width=3)
    ink = without_rules(to_ink(np.asarray(image)), INK)
    assert not ink[:, :12].any()
    assert ink[70, 14:30].all()


@pytest.mark.parametrize(
    "strokes",
    [
        [(30, 0, 30, 119), (30, 60, 60, 80)],
        [(20, 0, 20, 119), (80, 0, 80, 119), (20, 0, 80, 0), (40, 40, 60, 60)],
        [(10, 2, 10, 119), (40, 0, 40, 119), (70, 0, 70, 119)],
        [(10, 10, 90, 10), (0, 119, 99, 119)],
    ],
    ids=["卜", "门", "川", "二"],
)
def test_strokes_of_a_glyph_are_no_rules(strokes: list[tuple[int, int, int, int]]) -> None:
    image = Image.new("L", (100, 120), 230)
    for stroke in strokes:
        ImageDraw.Draw(image).line(stroke, fill=20, width=4)
    ink = to_ink(np.asarray(image))
    assert without_rules(ink, INK) is ink


def test_specks_and_scraps_do_not_make_the_glyph_smaller() -> None:
    image, draw = picture()
    alone = ink_box(to_ink(np.asarray(image)))
    draw.rectangle((4, 50, 5, 51), fill=20)
    draw.rectangle((92, 20, 93, 22), fill=20)
    draw.rectangle((55, 0, 60, 3), fill=20)
    draw.line((40, 119, 47, 114), fill=20, width=3)
    assert ink_box(to_ink(np.asarray(image))) == alone == GLYPH


def test_a_stroke_along_a_side_a_large_part_and_a_close_one_are_kept() -> None:
    kept = {"一": (25, 112, 74, 117), "a large part": (0, 40, 14, 80), "a close one": (48, 14, 53, 17)}
    for name, box in kept.items():
        image, draw = picture()
        draw.rectangle(box, fill=20)
        found = ink_box(to_ink(np.asarray(image)))
        assert found == (min(30, box[0]), min(20, box[1]), max(70, box[2] + 1), max(100, box[3] + 1)), name


def test_specks_alone_are_all_there_is() -> None:
    image = Image.new("L", (100, 120), 230)
    ImageDraw.Draw(image).rectangle((10, 10, 13, 13), fill=20)
    assert ink_box(to_ink(np.asarray(image))) == (10, 10, 14, 14)


@pytest.mark.parametrize("reading", ["引上", "六", "散抹一", "勾间勾四", "名外挑五", "二", "三", "大九勾一", "绰七"])
def test_all_of_a_clean_glyph_is_kept_however_close_it_is_cut(reading: str) -> None:
    for seed, style in enumerate(("kai", "song", "woodblock")):
        drawing = draw_spec(sample_spec(parse(reading), "clean", seed, size=128, frame="crop", styles=[style]))
        ink = to_ink(drawing.pixels)
        ys, xs = (np.flatnonzero((ink > INK).any(axis)) for axis in (1, 0))
        close = ink[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
        assert without_rules(close, INK) is close
        assert ink_box(close) == (0, 0, close.shape[1], close.shape[0])

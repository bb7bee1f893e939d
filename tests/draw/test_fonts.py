"""Fonts of this machine: what counts as a character they have."""

from __future__ import annotations

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from guqin_kg.draw.fonts import FontFile
from guqin_kg.errors import DataError


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> FontFile:
    """A font with a square for 大, an empty glyph for 勹, and nothing else."""
    names = [".notdef", "full", "empty"]
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 800), (900, 800), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    empty = TTGlyphPen(None).glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord("大"): "full", ord("勹"): "empty"})
    builder.setupGlyf({".notdef": empty, "full": pen.glyph(), "empty": empty})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=880, descent=-120)
    builder.setupPost()
    path = tmp_path_factory.mktemp("fonts") / "two.ttf"
    builder.save(path)
    return FontFile(path)


def test_a_glyph_with_ink_is_a_character_of_the_font(font: FontFile) -> None:
    assert font.has("大")
    assert len(font.ink("大").points) >= 4


@pytest.mark.parametrize("char", ["勹", "尸", "大九"], ids=["empty glyph", "not listed", "two characters"])
def test_without_ink_there_is_no_character(font: FontFile, char: str) -> None:
    assert not font.has(char), "its centre lines are taken from the graph"
    with pytest.raises(DataError, match="draws nothing"):
        font.ink(char)

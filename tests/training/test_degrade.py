"""Spoilt pictures: always a window with boxes inside, the same from the same generator, whatever is spoilt."""

from __future__ import annotations

import numpy as np
import pytest

from training.recogniser.degrade import degrade

HEIGHT, WIDTH = 64, 48


def picture(rng: np.random.Generator) -> np.ndarray:
    """Ink on white, as thin or small as drawn glyphs can be: full, a stroke across or down, dots."""
    height, width = (int(rng.integers(2, 73)) for _ in range(2))
    grey = np.full((height, width), 255, np.uint8)
    kind = rng.integers(4)
    if kind == 0:
        grey[:] = 0
    elif kind == 1:
        grey[height // 2] = 0
    elif kind == 2:
        grey[:, width // 2] = 0
    else:
        grey[rng.random((height, width)) < 0.1] = 0
    return grey


@pytest.mark.parametrize("worse", [False, True])
def test_thin_and_small_pictures_give_a_window_and_boxes_in_it(worse: bool) -> None:
    rng = np.random.default_rng(1)
    for _ in range(400):
        grey, neighbours = picture(rng), [picture(rng) for _ in range(3)]
        boxes = np.array([[0, 0, *grey.shape[::-1]], [np.nan] * 4], np.float32)
        pixels, found = degrade(grey, boxes, rng, neighbours, HEIGHT, WIDTH, worse)
        assert pixels.shape == (HEIGHT, WIDTH)
        assert pixels.dtype == np.uint8
        assert (found[0] >= 0).all()
        assert (found[0] <= 1).all()
        assert np.isnan(found[1]).all()


@pytest.mark.parametrize("worse", [False, True])
def test_the_same_generator_gives_the_same_picture(worse: bool) -> None:
    grey = np.full((60, 40), 255, np.uint8)
    grey[20:40, 10:30] = 0
    boxes = np.array([[10, 20, 30, 40]], np.float32)
    one, other = (degrade(grey, boxes, np.random.default_rng(7), [grey], HEIGHT, WIDTH, worse) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_the_box_stays_around_its_ink_when_spoilt_worse() -> None:
    """A block of ink alone in a frame: its box is where the middle of the frame's inside is dark."""
    grey = np.full((72, 56), 255, np.uint8)
    grey[2:70, 2:5] = grey[2:70, 51:54] = 0
    grey[28:44, 20:36] = 0
    boxes = np.array([[20, 28, 36, 44]], np.float32)
    dark = []
    for seed in range(200):
        pixels, ((x0, y0, x1, y1),) = degrade(
            grey, boxes, np.random.default_rng(seed), [grey], HEIGHT, WIDTH, worse=True
        )
        dark.append(pixels[round((y0 + y1) / 2 * HEIGHT), round((x0 + x1) / 2 * WIDTH)] > 100)
    assert np.mean(dark) > 0.97


def test_worse_is_worse() -> None:
    """Ink of neighbours and specks beside the glyph, which a gently spoilt picture of it has seldom."""
    grey = np.full((72, 72), 255, np.uint8)
    grey[30:42, 6:66] = 0
    none = np.zeros((0, 4), np.float32)

    def apart(worse: bool) -> float:
        rows = [
            (degrade(grey, none, np.random.default_rng(seed), [grey.T], HEIGHT, WIDTH, worse)[0] > 90).any(1)
            for seed in range(150)
        ]
        return float(np.mean([np.abs(np.diff(row.astype(int))).sum() > 2 for row in rows]))

    assert apart(True) > apart(False) + 0.1

"""`guqin evaluate recognizer --pages`: each page named must be in the data."""

from __future__ import annotations

from pathlib import Path

import pytest

from guqin_kg.errors import UsageError


def crops(*pages):
    pytest.importorskip("torch", reason="needs the [train] extra")
    from training.recogniser.crops import Crop, Crops

    return Crops([Crop(Path("a.png"), "大九勾四", (), page) for page in pages])


def test_blanks_do_not_count():
    found = crops(1, 2, "2", 10, None).of_pages({"1", " 2 "})
    assert [row.page for row in found.rows] == [1, 2, "2"]


@pytest.mark.parametrize(
    ("pages", "wanted", "message", "hint"),
    [
        ((10, 2, 1, "b", None), {"1", "99"}, "no crop of the pages 99", "there are: 1, 2, 10, b"),
        ((1,), {"None"}, "no crop of the pages None", "there are: 1"),
        ((1,), {" "}, "no page is named", "there are: 1"),
        ((None,), {"1"}, "no crop of the pages 1", "the rows of --data need a key `page`"),
        (tuple(range(100)), {"100", "101"}, "no crop of the pages 100, 101", "38, 39 …"),
    ],
)
def test_a_page_that_is_not_there_is_refused(pages, wanted, message, hint):
    with pytest.raises(UsageError) as caught:
        crops(*pages).of_pages(wanted)
    assert caught.value.message == message
    assert hint in caught.value.hint

"""Cells of the score files that are not notations, each with the reason."""

REFERENCE_MARKS = frozenset("狂歌飲饮仙酒天地")  # circled characters that name a place in the piece (kind = mark)
SENTENCES = {
    "长锁臨了急锁三声乘声上七": "an instruction in words (臨了: towards the end), not a notation",
    "又长锁臨了急锁三声抓起": "an instruction in words (臨了: towards the end), not a notation",
}
LABEL_NOISE = {
    "十十挑七": "the label types 散 as 10 10 (data/wushen/README.md)",
    "挑十十七": "the label types 散 as 10 10 (data/wushen/README.md)",
    "大九挑九": "the label gives an eighth and ninth string: there are seven",
}


def reason(text: str) -> str | None:
    """Why ``text`` is not a notation; None if it should be read."""
    if len(text) == 1 and text in REFERENCE_MARKS:
        return "a reference mark of the score, named by any character"
    return SENTENCES.get(text) or LABEL_NOISE.get(text)

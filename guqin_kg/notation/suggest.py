from __future__ import annotations
from guqin_kg.errors import ReadingError
def explain_failure(reading, grammar):
    return ReadingError("cannot be read", reading=reading, at=0)

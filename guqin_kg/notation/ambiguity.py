from __future__ import annotations
def decisions(reading):
    return []

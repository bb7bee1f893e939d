"""The layout of a notation as an ideographic description sequence, from written forms and layout roles of the graph."""
from __future__ import annotations
from guqin_kg.model import Notation
from guqin_kg.notation.grammar import Grammar
def ids_string(notation: Notation, grammar: Grammar) -> str:
    return ""

"""The IRI of a compound notation: an ASCII function of its structure and of the ids of base notations.

``大九绰勾四`` is ``gqr:n-da.9-o.chuo-gou-s4``. Segments stand in a fixed order, every kind of segment has its own mark,
so two structures never share an IRI; nothing depends on what else is in the graph, so an IRI never changes.

=============  ==============================================================
``c-`` ``a-`` ``x-``  complex, aside, standalone (none: simple)
``m.ji``       modifier; ``k.count_2`` count; ``t.san`` tone sign
``da.9``       finger and position; ``f.da`` finger alone; ``p.9`` position alone
``7.9``        hui 7 and second digit 9; ``8.ban`` hui 8 with a sign; ``wai`` a sign alone
``o.chuo``     ornament; plain ``gou``: technique; ``u.72c2`` a free reference mark
``s7.6``       strings 7 and 6
``--``         the next note
=============  ==============================================================
"""

from __future__ import annotations

import re

from guqin_kg.errors import DataError
from guqin_kg.inventory import GQR
from guqin_kg.model import Notation, Note, Position
from guqin_kg.notation.components import word_base
from guqin_kg.notation.grammar import Grammar, default_grammar

_FORMS = {"simple": "", "complex": "c-", "aside": "a-", "standalone": "x-"}
# prefix of ids that is left out in a field
_PREFIX = {
    "left_finger": "lf-",
    "techniques": "rh-",
    "ornaments": "orn-",
    "tone": "tone-",
    "modifiers": "mk-",
    "count": "count-",
    "position": "num-",
}
_PLAIN = re.compile(r"[a-z0-9]{2,}")


def notation_iri(notation: Notation, grammar: Grammar | None = None) -> str:
    """The IRI of a structure.

    Raises:
        DataError: ``unknown-word`` if a word is not in the graph.
    """
    grammar = grammar or default_grammar()
    cache = _id_cache(grammar)
    segments = ["-".join(_segments(note, grammar, cache)) for note in (notation, *notation.notes)]
    return f"{GQR}n-{_FORMS[notation.form]}{'--'.join(segments)}"


def _id_cache(grammar: Grammar) -> dict[tuple[str, str], str]:
    cache: dict[tuple[str, str], str] | None = grammar.__dict__.get("_iri_ids")
    if cache is None:
        cache = grammar.__dict__["_iri_ids"] = {}
    return cache


def short_id(identifier: str, field: str) -> str:
    """``identifier`` without the usual prefix of ``field`` where that is plain, else in full and escaped."""
    prefix = _PREFIX[field]
    rest = identifier.removeprefix(prefix)
    if rest != identifier and _PLAIN.fullmatch(rest):
        return rest
    text = "".join(
        char if char.isascii() and char.isalnum() and not char.isupper()
        else "_" if char == "-"
        else "".join(f"={byte:02x}" for byte in char.encode())
        for char in identifier
    )  # fmt: skip
    return text if "_" in text else "_" + text


def _word(word: str, field: str, grammar: Grammar, cache: dict[tuple[str, str], str]) -> str:
    found = cache.get((word, field))
    if found is None:
        base = word_base(word, field, grammar)
        if base is not None:
            found = short_id(base.id, field)
        elif field == "techniques":
            found = "u." + "_".join(f"{ord(char):x}" for char in word)
        else:
            raise DataError(f"the graph has no base notation {word} that can stand here ({field})", code="unknown-word")
        cache[word, field] = found
    return found


def position_code(position: Position, grammar: Grammar) -> str:
    """``9``, ``7.9``, ``8.ban``, ``wai``: the position part of an IRI."""
    code = str(position.hui) if position.hui else ""
    if position.fen:
        code += f".{position.fen}"
    if position.sign:
        base = grammar.base(position.sign, "position-sign")
        if base is None:
            raise DataError(f"the graph has no position sign {position.sign}", code="unknown-word")
        code += ("." if code else "") + short_id(base.id, "position")
    return code


def _segments(note: Note, grammar: Grammar, cache: dict[tuple[str, str], str]) -> list[str]:
    out = ["m." + _word(word, "modifiers", grammar, cache) for word in note.modifiers]
    if note.tone:
        out.append("t." + _word(note.tone, "tone", grammar, cache))
    if note.count:
        out.append("k." + _word(note.count, "count", grammar, cache))
    place = position_code(note.position, grammar) if note.position else ""
    if note.left_finger:
        finger = _word(note.left_finger, "left_finger", grammar, cache)
        out.append(f"{finger}.{place}" if place else f"f.{finger}")
    elif place:
        out.append(f"p.{place}")
    out += ["o." + _word(word, "ornaments", grammar, cache) for word in note.ornaments]
    out += [_word(word, "techniques", grammar, cache) for word in note.techniques]
    if note.strings:
        out.append("s" + ".".join(map(str, note.strings)))
    return out

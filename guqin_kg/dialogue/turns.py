"""Which turns a conversation has, and which phrasing each takes: pure functions of the IRI, the rows and the seed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple

from guqin_kg.dialogue.templates import Template
from guqin_kg.errors import UsageError

_number = itemgetter(0)


def draw(*parts: object) -> int:
    """A number of 64 bits that depends on ``parts`` alone (the same on every machine)."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


class Turn(NamedTuple):
    """One question and answer, chosen but not yet rendered."""

    template: Template
    question: int
    answer: int
    chance: int


_WORD = (1 << 64) - 1


def mixed(number: int, salt: int) -> int:
    """A number of 64 bits from two others, every bit of it depending on all of theirs (the finaliser of SplitMix64)."""
    x = number ^ salt
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & _WORD
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & _WORD
    return x ^ (x >> 31)


@dataclass(frozen=True)
class TurnSet:
    """The templates of one set in one language, by place.

    Attributes:
        places: for each place, in order, the templates that may stand there (usually one).
        pool: templates that replace a turn whose query has no row.
    """

    name: str
    lang: str
    places: tuple[tuple[Template, ...], ...]
    pool: tuple[Template, ...]

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        """All templates of the set, each once, sorted by name."""
        every = {t.name: t for group in (*self.places, self.pool) for t in group}
        return tuple(every[name] for name in sorted(every))

    @cached_property
    def salts(self) -> dict[str | int, int]:
        """What each template and each place draws with."""
        return {name: draw(name) for name in (*(t.name for t in self.templates), *range(len(self.places)))}

    @cached_property
    def queries(self) -> tuple[str, ...]:
        """Names of all queries the set may ask, sorted."""
        return tuple(sorted({t.query for t in self.templates}))

    @cached_property
    def digest(self) -> str:
        """Hash over names, places and texts of the templates."""
        lines = [f"{i}:{t.name}@{t.digest}" for i, group in enumerate(self.places) for t in group]
        lines += [f"pool:{t.name}@{t.digest}" for t in self.pool]
        return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


def turn_sets(templates: Iterable[Template]) -> dict[tuple[str, str], TurnSet]:
    """The sets that the template headers define: (set, language) to ``TurnSet``."""
    found: dict[tuple[str, str], dict[int, list[Template]]] = defaultdict(lambda: defaultdict(list))
    for template in templates:
        for name, place in template.sets.items():
            found[name, template.lang][place].append(template)
    out = {}
    for (name, lang), places in sorted(found.items()):
        pool = tuple(places.pop(0, ()))
        out[name, lang] = TurnSet(name, lang, tuple(tuple(places[p]) for p in sorted(places)), pool)
    return out


def pick_sets(
    sets: Mapping[tuple[str, str], TurnSet], wanted: str, langs: Sequence[str], hidden: Iterable[str] = ("explain",)
) -> list[TurnSet]:
    """The sets named by ``wanted`` (a name, or ``all``) in ``langs``.

    Raises:
        UsageError: there is no such set in one of the languages; the known ones are listed.
    """
    names = sorted({name for name, _ in sets if not name.startswith(tuple(hidden))})
    chosen = names if wanted == "all" else [wanted]
    for name in chosen:
        if name not in names:
            raise UsageError(f"there is no dialogue set {name!r}", hint=f"known sets: {', '.join(names)}, all")
        for lang in langs:
            if (name, lang) not in sets:
                raise UsageError(f"the dialogue set {name!r} has no templates in language {lang!r}")
    return [sets[name, lang] for name in chosen for lang in langs]


def choose_turns(turns: TurnSet, iri: str, has_rows: Callable[[Template], Any], seed: int) -> list[Turn]:
    """The turns of the conversation about ``iri``.

    A place takes the first of its templates whose query has rows (where several compete, the seed decides which comes
    first). A place left empty takes an unused template of the pool, in an order that the seed decides, so that the
    conversation is as long as the set has places wherever the pool allows.

    Args:
        has_rows: the rows a template sees for this notation, or something that says whether there are any.
    """
    base, salts = draw(seed, iri), turns.salts
    used: set[str] = set()
    chosen: list[Template | None] = []
    for place, group in enumerate(turns.places):
        if len(group) > 1:
            start = mixed(base, salts[place]) % len(group)
            group = (*group[start:], *group[:start])
        for candidate in group:
            if candidate.name not in used and has_rows(candidate):
                used.add(candidate.name)
                chosen.append(candidate)
                break
        else:
            chosen.append(None)
    if None in chosen and turns.pool:
        rest = [(mixed(base, salts[t.name]), t) for t in turns.pool if t.name not in used]
        rest.sort(key=_number)
        spare = iter(rest)
        for index, template in enumerate(chosen):
            if template is None:
                chosen[index] = next((t for _, t in spare if has_rows(t)), None)
    out = []
    for template in chosen:
        if template is not None:
            number = mixed(base, salts[template.name])
            out.append(
                Turn(
                    template,
                    number % (len(template.questions) or 1),
                    (number >> 20) % (len(template.answers) or 1),
                    number >> 40,
                )
            )
    return out

"""Conversations as records: rows in, one JSON line out; the same graph, templates and seed give the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as encode
from typing import Any

from guqin_kg.dialogue.rows import Rows, View, ViewError, ViewKey, view_of
from guqin_kg.dialogue.templates import Template, TemplateError, check_columns
from guqin_kg.dialogue.turns import Turn, TurnSet, choose_turns
from guqin_kg.inventory import GQR
from guqin_kg.query.library import QueryLibrary

#: Part of every fingerprint: raise it when the same inputs give other records.
RECORD_FORMAT = 2
_KEEP_TEXTS = 50_000
#: After so many turns a template whose texts hardly recur is no longer remembered.
_TRIAL = 2_000


@dataclass(frozen=True)
class Record:
    """One conversation, ready to be written.

    Attributes:
        id: set, language and notation; records are sorted by it.
        split: ``train`` or ``val``.
        line: the JSON object as UTF-8, with its line end.
        templates: names of the templates used.
    """

    id: str
    notation: str
    split: str
    fingerprint: str
    line: bytes
    templates: tuple[str, ...]


def local_name(iri: str) -> str:
    """The IRI without the resource namespace, for ids and file names."""
    return iri[len(GQR) :] if iri.startswith(GQR) else iri


def split_of(iri: str) -> str:
    """``train`` or ``val``, 8:2 by notation; a function of the IRI alone, so that additions move nothing."""
    return "val" if int.from_bytes(hashlib.blake2b(iri.encode(), digest_size=4).digest(), "big") % 10 >= 8 else "train"


def image_path(iri: str) -> str:
    """Where the drawing of a notation lies, relative to the output folder."""
    return f"images/{local_name(iri)}.png"


def make_views(sets: Iterable[TurnSet], library: QueryLibrary) -> dict[ViewKey, View]:
    """The views of all templates of ``sets``; every template is checked against the columns of its view.

    Raises:
        TemplateError: a template asks for a column its query lacks, or its header does not fit the query.
        NotFoundError: a query named in a header does not exist.
    """
    views: dict[ViewKey, View] = {}
    for turns in sets:
        for template in turns.templates:
            key = view_of(template)
            if key not in views:
                views[key] = _view(key, template, library)
            check_columns(template, views[key].columns)
    return views


def _view(key: ViewKey, template: Template, library: QueryLibrary) -> View:
    from guqin_kg.errors import NotFoundError

    try:
        return View(key, library)
    except NotFoundError as error:
        raise TemplateError(error.message, file=template.path, line=1, hint=error.hint) from None
    except ViewError as error:
        raise TemplateError(error.message, file=template.path, line=1, hint=f"the query is {error.file}") from None


class _Plan:
    """What is the same for all conversations about one template of a set, made once.

    Attributes:
        number: place of its view among the views of the set.
        heads: the message of the user up to its sources, one a question; None where the question depends on the rows.
        middle, tail: what stands around the answer.
        mark: goes into the fingerprint.
    """

    __slots__ = ("heads", "hits", "mark", "memo", "middle", "number", "opening", "tail", "template", "tries", "view")

    def __init__(self, template: Template, view: View, number: int) -> None:
        self.template, self.view, self.number = template, view, number
        origin = f',"query":{encode(template.query)},"template":{encode(template.name)},"sources":['
        self.tail = origin
        self.opening = '{"role":"user","content":'
        self.middle = ']},{"role":"assistant","content":'
        self.heads = [
            None if q.static is None else f"{self.opening}{encode(q.static)}{origin}" for q in template.questions
        ]
        self.mark = f"{template.digest}{view.digest}"
        # texts of turns that see part of the rows recur; joined rows live as long as their view, so ids may be keys
        self.memo: dict[tuple[Any, ...], tuple[str, str, str]] | None = {} if template.where else None
        self.tries = self.hits = 0

    def texts(self, turn: Turn, data: list[Any], rests: Callable[[], str]) -> tuple[str, str, str]:
        """Both messages, in three pieces between which the notation's own IRI stands.

        Raises:
            TemplateError: the template fails on these rows.
        """
        memo = self.memo
        if memo is None:
            return self._texts(turn, data, rests())
        template = self.template
        key = (turn.question, turn.answer, template.by_chance and turn.chance, *map(id, data))
        found = memo.get(key)
        self.tries += 1
        if found is None:
            if len(memo) > _KEEP_TEXTS:
                memo.clear()
            found = memo[key] = self._texts(turn, data, rests())
            if self.tries == _TRIAL and self.hits * 5 < self.tries:
                self.memo = None
        else:
            self.hits += 1
        return found

    def _texts(self, turn: Turn, data: list[Any], rests: str) -> tuple[str, str, str]:
        template = self.template
        head = self.heads[turn.question]
        if head is None:
            text = template.render(template.questions[turn.question], data, turn.chance)
            head = f"{self.opening}{encode(text)}{self.tail}"
        answer = encode(template.render(template.answers[turn.answer], data, turn.chance))
        return head, f"{self.middle}{answer}{self.tail}", f"{rests}]}}"


class _Listed(dict[str, str]):
    """IRIs as they stand in a list of JSON, each made once."""

    def __missing__(self, iri: str) -> str:
        text = self[iri] = f",{encode(iri)}"
        return text


class Writer:
    """Makes the records of notations whose rows were fetched.

    Args:
        turns: the set of templates.
        views: views of its templates.
        rows: the rows, already fetched.
        seed: decides the wording.
        with_images: whether records name a drawing.
    """

    def __init__(
        self, turns: TurnSet, views: dict[ViewKey, View], rows: Rows, *, seed: int = 0, with_images: bool = True
    ) -> None:
        self.turns = turns
        self.rows = rows
        self.seed = seed
        self.with_images = with_images
        keys = {t.name: view_of(t) for t in turns.templates}
        numbers = {key: n for n, key in enumerate(dict.fromkeys(keys.values()))}
        self._plans = {t.name: _Plan(t, views[keys[t.name]], numbers[keys[t.name]]) for t in turns.templates}
        self._count = len(numbers)
        self._listed = _Listed()

    def record(self, iri: str, reading: str) -> Record:
        """The conversation about one notation.

        Raises:
            TemplateError: a template fails on the rows of this notation.
        """
        rows, plans, listed = self.rows, self._plans, self._listed
        seen: list[list[Any] | None] = [None] * self._count
        rest: list[str | None] = [None] * self._count

        def found(template: Template) -> list[Any]:
            plan = plans[template.name]
            got = seen[plan.number]
            if got is None:
                got = seen[plan.number] = rows.of(plan.view, iri)
            return got

        def rests() -> str:
            text = rest[plan.number]
            if text is None:
                others = rows.rests(plan.view, iri)
                others.pop(iri, None)
                text = rest[plan.number] = "".join(map(listed.__getitem__, others))
            return text

        quoted = encode(iri)
        messages: list[str] = []
        marks: list[str] = []
        names: list[str] = []
        for turn in choose_turns(self.turns, iri, found, self.seed):
            name = turn.template.name
            plan = plans[name]
            names.append(name)
            marks.append(plan.mark)
            asked, answered, end = plan.texts(turn, seen[plan.number] or [], rests)
            messages.append(f"{asked}{quoted}{answered}{quoted}{end}")
        name, lang = self.turns.name, self.turns.lang
        identity = f"{name}/{lang}/{local_name(iri)}"
        images = encode(image_path(iri)) if self.with_images else ""
        body = (
            f'{{"id":{encode(identity)},"notation":{quoted},"reading":{encode(reading)},"set":{encode(name)},'
            f'"lang":"{lang}","images":[{images}],"messages":[{",".join(messages)}]'
        ).encode()
        digest = hashlib.blake2b(f"{RECORD_FORMAT}{self.seed}{','.join(marks)}".encode(), digest_size=16)
        digest.update(body)
        fingerprint = digest.hexdigest()
        line = b'%b,"fingerprint":"%b"}\n' % (body, fingerprint.encode())
        return Record(identity, iri, split_of(iri), fingerprint, line, tuple(names))


def generate(
    ask: Callable[[str], Any],
    library: QueryLibrary,
    sets: Sequence[TurnSet],
    notations: Sequence[tuple[str, str]],
    *,
    seed: int = 0,
    with_images: bool = True,
    chunk: int = 4000,
) -> Iterable[Record]:
    """Records of ``sets`` for ``notations`` (IRI and reading), chunk by chunk, each query asked once a chunk.

    Args:
        ask: runs SPARQL text and yields rows of terms.
        chunk: notations whose rows are held in memory at once.
    """
    by_lang: dict[str, list[TurnSet]] = {}
    for turns in sets:
        by_lang.setdefault(turns.lang, []).append(turns)
    for _, group in sorted(by_lang.items()):
        makers = Maker(ask, library, group, seed=seed, with_images=with_images)
        for start in range(0, len(notations), chunk):
            yield from makers.records(notations[start : start + chunk])


class Maker:
    """Makes the records of one part of the notations after another; facts and recurring texts are kept in between.

    Args:
        sets: sets of one language; the others as for ``generate``.
    """

    def __init__(
        self,
        ask: Callable[[str], Any],
        library: QueryLibrary,
        sets: Sequence[TurnSet],
        *,
        seed: int = 0,
        with_images: bool = True,
    ) -> None:
        wanted = sorted({view_of(t) for turns in sets for t in turns.templates}, key=repr)
        views = {key: View(key, library) for key in wanted}
        self.rows = Rows(ask, library, sets[0].lang, views.values())
        self.writers = [Writer(turns, views, self.rows, seed=seed, with_images=with_images) for turns in sets]

    def records(self, notations: Sequence[tuple[str, str]]) -> Iterable[Record]:
        """Records of all sets for ``notations`` (IRI and reading); each query is asked once."""
        self.rows.fetch([iri for iri, _ in notations])
        for writer in self.writers:
            for iri, reading in notations:
                yield writer.record(iri, reading)

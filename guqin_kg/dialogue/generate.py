"""Conversations as records: rows in, one JSON line out; the same graph, templates and seed give the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as encode
from typing import Any

from guqin_kg.dialogue.rows import Rows, View, ViewError, ViewKey, view_of
from guqin_kg.dialogue.templates import Template, TemplateError, check_columns
from guqin_kg.dialogue.turns import TurnSet, choose_turns
from guqin_kg.inventory import GQR
from guqin_kg.query.library import QueryLibrary

#: Part of every fingerprint: raise it when the same inputs give other records.
RECORD_FORMAT = 1
_KEEP_TEXTS = 50_000


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
        self._view = {t.name: views[view_of(t)] for t in turns.templates}
        self._origin = {t.name: f',"query":{encode(t.query)},"template":{encode(t.name)}' for t in turns.templates}
        self._quoted: dict[str, str] = {}
        # texts of turns that see part of the rows recur; joined rows live as long as their view, so ids may be keys
        self._texts: dict[tuple[Any, ...], tuple[str, str, str]] = {}
        self._mark = {t.name: f"{t.digest}{self._view[t.name].digest}" for t in turns.templates}

    def _quote(self, text: str) -> str:
        found = self._quoted.get(text)
        if found is None:
            found = self._quoted[text] = encode(text)
        return found

    def record(self, iri: str, reading: str) -> Record:
        """The conversation about one notation.

        Raises:
            TemplateError: a template fails on the rows of this notation.
        """
        seen: dict[ViewKey, list[Any]] = {}
        views, rows = self._view, self.rows

        def found(template: Template) -> list[Any]:
            view = views[template.name]
            got = seen.get(view.key)
            if got is None:
                got = seen[view.key] = rows.of(view, iri)
            return got

        quote = self._quote
        quoted = encode(iri)
        asked = f',"sources":[{quoted}]}}'
        memo = self._texts
        if len(memo) > _KEEP_TEXTS:
            memo.clear()
        messages: list[str] = []
        marks: list[str] = []
        names: list[str] = []
        for turn in choose_turns(self.turns, iri, found, self.seed):
            template = turn.template
            data = found(template)
            origin = self._origin[template.name]
            names.append(template.name)
            marks.append(self._mark[template.name])
            texts = None
            if template.where:
                key = (template.name, turn.question, turn.answer, template.by_chance and turn.chance, *map(id, data))
                texts = memo.get(key)
            if texts is None:
                rests = rows.rests(views[template.name], iri)
                rests.discard(iri)
                texts = (
                    encode(template.render(template.questions[turn.question], data, turn.chance)),
                    encode(template.render(template.answers[turn.answer], data, turn.chance)),
                    "".join(f",{quote(other)}" for other in sorted(rests)),
                )
                if template.where:
                    memo[key] = texts
            messages.append(f'{{"role":"user","content":{texts[0]}{origin}{asked}')
            messages.append(f'{{"role":"assistant","content":{texts[1]}{origin},"sources":[{quoted}{texts[2]}]}}')
        name, lang = self.turns.name, self.turns.lang
        identity = f"{name}/{lang}/{local_name(iri)}"
        images = encode(image_path(iri)) if self.with_images else ""
        body = (
            f'{{"id":{encode(identity)},"notation":{quoted},"reading":{encode(reading)},"set":{encode(name)},'
            f'"lang":"{lang}","images":[{images}],"messages":[{",".join(messages)}]'
        )
        fingerprint = hashlib.blake2b(
            f"{RECORD_FORMAT}{self.seed}{','.join(marks)}{body}".encode(), digest_size=16
        ).hexdigest()
        line = f'{body},"fingerprint":"{fingerprint}"}}\n'.encode()
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
    for lang, group in sorted(by_lang.items()):
        wanted = {view_of(t) for turns in group for t in turns.templates}
        mine = {key: View(key, library) for key in sorted(wanted, key=repr)}
        rows = Rows(ask, library, lang, [mine[key] for key in sorted(wanted, key=repr)])
        writers = [Writer(turns, mine, rows, seed=seed, with_images=with_images) for turns in group]
        for start in range(0, len(notations), chunk):
            part = notations[start : start + chunk]
            rows.fetch([iri for iri, _ in part])
            for writer in writers:
                for iri, reading in part:
                    yield writer.record(iri, reading)

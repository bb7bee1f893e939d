"""Conversations as records: rows in, one JSON line out; the same graph, templates and seed give the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from guqin_kg.dialogue.rows import Rows, View, ViewError, ViewKey, view_of
from guqin_kg.dialogue.templates import Template, TemplateError, check_columns
from guqin_kg.dialogue.turns import TurnSet, choose_turns
from guqin_kg.inventory import GQR
from guqin_kg.query.library import QueryLibrary

#: Part of every fingerprint: raise it when the same inputs give other records.
RECORD_FORMAT = 1


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
        self._mark = {t.name: f"{t.digest}{self._view[t.name].digest}" for t in turns.templates}

    def record(self, iri: str, reading: str) -> Record:
        """The conversation about one notation.

        Raises:
            TemplateError: a template fails on the rows of this notation.
        """
        seen: dict[ViewKey, tuple[list[Any], frozenset[str]]] = {}
        views, rows = self._view, self.rows

        def found(template: Template) -> tuple[list[Any], frozenset[str]]:
            view = views[template.name]
            got = seen.get(view.key)
            if got is None:
                got = seen[view.key] = rows.of(view, iri)
            return got

        messages: list[dict[str, Any]] = []
        marks: list[str] = []
        names: list[str] = []
        for turn in choose_turns(self.turns, iri, lambda t: found(t)[0], self.seed):
            template = turn.template
            data, rests = found(template)
            query = template.query
            names.append(template.name)
            marks.append(self._mark[template.name])
            messages.append(
                {
                    "role": "user",
                    "content": template.render(template.questions[turn.question], data, turn.chance),
                    "query": query,
                    "template": template.name,
                    "sources": [iri],
                }
            )
            messages.append(
                {
                    "role": "assistant",
                    "content": template.render(template.answers[turn.answer], data, turn.chance),
                    "query": query,
                    "template": template.name,
                    "sources": sorted({iri, *rests}),
                }
            )
        record: dict[str, Any] = {
            "id": f"{self.turns.name}/{self.turns.lang}/{local_name(iri)}",
            "notation": iri,
            "reading": reading,
            "set": self.turns.name,
            "lang": self.turns.lang,
            "images": [image_path(iri)] if self.with_images else [],
            "messages": messages,
        }
        body = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        fingerprint = hashlib.blake2b(
            f"{RECORD_FORMAT}{self.seed}{','.join(marks)}{body}".encode(), digest_size=16
        ).hexdigest()
        line = f'{body[:-1]},"fingerprint":"{fingerprint}"}}\n'.encode()
        return Record(record["id"], iri, split_of(iri), fingerprint, line, tuple(names))


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

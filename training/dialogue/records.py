"""Conversations for a run: read from ``guqin regenerate``'s files, or generated for as many notations as asked.

Every conversation is the contract's record; those of held-out notations (split ``val``) are never trained on. A
notation of one component cannot be put together from others: nothing but itself teaches how it looks and what it is
called. Where this module generates, it is always one of those trained on, and never asked about.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from guqin_kg.errors import DataError, LimitError, NotFoundError
from guqin_kg.notation.components import parts
from guqin_kg.query.session import GraphSession
from training.dialogue.config import DialogueTraining

if TYPE_CHECKING:
    from guqin_kg.dialogue.generate import Record
    from guqin_kg.dialogue.rows import View, ViewKey
    from guqin_kg.dialogue.turns import TurnSet
    from guqin_kg.model import Notation
    from guqin_kg.notation.grammar import Grammar

SPLITS = ("train", "val")
_CHUNK = 2000
_TRIES = 20
"""Draws for each notation by the rules: many are met more than once, and a small graph has few."""


@dataclass(frozen=True)
class Turn:
    """One question, its answer, and the template both come from."""

    question: str
    answer: str
    template: str


@dataclass(frozen=True)
class Conversation:
    """The turns about one notation; ``image`` is a file of the user's, or None (then it is drawn)."""

    iri: str
    reading: str
    turns: tuple[Turn, ...]
    image: Path | None = None


def conversation(record: dict[str, Any], folder: Path | None = None) -> Conversation:
    """A record as a conversation.

    Raises:
        DataError: the record is not of the contract's form.
    """
    try:
        messages = record["messages"]
        turns = tuple(
            Turn(asked["content"], answered["content"], asked.get("template", ""))
            for asked, answered in zip(messages[::2], messages[1::2], strict=True)
        )
        images = [folder / name for name in record.get("images", ())] if folder else []
        present = next((path for path in images if path.is_file()), None)
        return Conversation(record["notation"], record["reading"], turns, present)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"no dialogue record ({type(error).__name__}: {error})",
            hint="one JSON object a line with notation, reading and messages, as `guqin regenerate` writes them",
        ) from None


def read_folder(folder: Path, which: str | None = None, lang: str | None = None) -> dict[str, list[Conversation]]:
    """The conversations of a folder of ``guqin regenerate``, by split.

    Raises:
        NotFoundError: no ``train.jsonl`` there.
        DataError: a broken line (with its number), or no conversation at all.
    """
    found: dict[str, list[Conversation]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        path = folder / f"{split}.jsonl"
        if not path.is_file():
            if split == "train":
                raise NotFoundError(f"there are no dialogues in {folder}", hint="`guqin regenerate` makes them")
            continue
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    record = json.loads(line)
                    if which in (None, record.get("set")) and lang in (None, record.get("lang")):
                        found[split].append(conversation(record, folder))
                except (ValueError, AttributeError) as error:
                    raise DataError(f"not JSON: {error}", file=path, line=number) from None
                except DataError as error:
                    raise DataError(error.message, file=path, line=number, hint=error.hint) from None
    if not found["train"]:
        raise DataError(
            "there is no conversation to train on",
            code="empty-data",
            file=folder,
            hint="`guqin regenerate` makes them; set and language must be those of the configuration",
        )
    return found


def generate(
    config: DialogueTraining, session: GraphSession, cache: Path, which: str | None = None
) -> dict[str, list[Conversation]]:
    """The conversations of a configuration, generated from the graph; kept in ``cache``.

    Args:
        config: scope, number of notations, language, seed.
        session: the opened graph.
        cache: folder for the records.
        which: another set of turns than the configuration's.
    """
    templates = _templates(config, session, which or config.dialogues)
    key = [config.scope, config.notations, config.lang, config.seed, session.content_hash, templates.digest]
    folder = cache / ("dialogues-" + hashlib.blake2b(json.dumps(key).encode(), digest_size=8).hexdigest())
    if not _is_whole(folder):
        part = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
        try:
            _write(part, config, session, templates)
            _put(part, folder)
        except OSError as error:
            raise LimitError(
                f"cannot write the dialogues: {error.strerror or error}",
                file=folder,
                hint="free some space; if this folder is there, delete it",
            ) from None
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return read_folder(folder)


def _is_whole(folder: Path) -> bool:
    """Whether the dialogues lie there: they come all at once."""
    return all((folder / f"{split}.jsonl").is_file() for split in SPLITS)


def _put(part: Path, folder: Path) -> None:
    """Give the finished folder ``part`` its name."""
    try:
        part.rename(folder)
    except OSError:
        if not _is_whole(folder):  # else another run was quicker, and wrote the same
            raise


def _write(folder: Path, config: DialogueTraining, session: GraphSession, templates: _Templates) -> None:
    """Write the records of a configuration, a file for each split."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as opened:
        files = {split: opened.enter_context((folder / f"{split}.jsonl").open("wb")) for split in SPLITS}
        notations = _chosen(config, session)
        for notation, record in zip(notations, _written(config, session, templates, notations), strict=True):
            split = "train" if single(notation, session.grammar) else record.split
            files[split].write(record.line)


def held_out_pictures(
    config: DialogueTraining, session: GraphSession, pictures: Sequence[tuple[Path, Notation]]
) -> list[Conversation]:
    """Conversations about pictures of the user's whose notation no run trains on: those in ``val``, no word alone."""
    from guqin_kg.notation.iri import notation_iri

    grammar = session.grammar
    asked = {notation_iri(notation, grammar): notation for _, notation in pictures if not single(notation, grammar)}
    templates = _templates(config, session, config.dialogues)
    records = _written(config, session, templates, list(asked.values()))
    found = {c.iri: c for c in (conversation(json.loads(r.line)) for r in records if r.split == "val")}
    named = ((path, found.get(notation_iri(notation, grammar))) for path, notation in pictures)
    return [replace(known, image=path) for path, known in named if known is not None]


def single(notation: Notation, grammar: Grammar) -> bool:
    """Whether the notation is one component alone."""
    return len(parts(notation, grammar)) == 1


def _chosen(config: DialogueTraining, session: GraphSession) -> list[Notation]:
    """The notations that a configuration names."""
    from guqin_kg.notation.lexicon import curated, published

    if config.scope == "rules":
        return _by_the_rules(config, session)
    every = list(curated(session.grammar)) if config.scope == "curated" else list(published(session.grammar))
    count = len(every) if config.notations is None else config.notations
    order = np.random.default_rng(config.seed).permutation(len(every))[:count]
    return [every[int(at)] for at in sorted(order)]


def _by_the_rules(config: DialogueTraining, session: GraphSession) -> list[Notation]:
    """Different notations that the reading rules allow, by chance: words alone, asides, forms of every kind."""
    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.recognise.vocabulary import Vocabulary
    from guqin_kg.recognise.words import Words
    from training.recogniser.sample import Sampler

    words = Words(session.grammar)
    sampler = Sampler(words, set(Vocabulary.of(words.bases()).ids))
    rng = np.random.default_rng([config.seed, 23])
    found: dict[str, Notation] = {}
    wanted = config.notations or 0
    for _ in range(wanted * _TRIES):
        notation = sampler(rng).notation
        found.setdefault(notation_iri(notation, session.grammar), notation)
        if len(found) == wanted:
            break
    return list(found.values())


@dataclass(frozen=True)
class _Templates:
    """The templates of a set of turns, and what they see of the graph.

    Attributes:
        turns: the set, templates of the workspace included.
        views: of its queries.
    """

    turns: TurnSet
    views: dict[ViewKey, View]

    @property
    def digest(self) -> str:
        """Hash over the texts of templates and queries, and the form of the records."""
        from guqin_kg.dialogue.generate import RECORD_FORMAT

        parts = [self.turns.name, self.turns.digest, *sorted(view.digest for view in self.views.values())]
        return hashlib.blake2b("\n".join([str(RECORD_FORMAT), *parts]).encode(), digest_size=8).hexdigest()


def _templates(config: DialogueTraining, session: GraphSession, which: str) -> _Templates:
    """The templates of the set ``which`` in the language of the configuration.

    Raises:
        UsageError: there is no such set.
        TemplateError: one of them is broken or does not fit its query.
    """
    from guqin_kg.dialogue.generate import make_views
    from guqin_kg.dialogue.regenerate import template_folders
    from guqin_kg.dialogue.templates import load_templates
    from guqin_kg.dialogue.turns import pick_sets, turn_sets

    every = turn_sets(load_templates(template_folders(session.workspace), config.lang))
    (turns,) = pick_sets(every, which, [config.lang])
    return _Templates(turns, make_views([turns], session.library))


def _written(
    config: DialogueTraining, session: GraphSession, templates: _Templates, notations: Sequence[Notation]
) -> Iterator[Record]:
    """Records of notations; those that the store does not hold are stated beside it."""
    import pyoxigraph as ox

    from guqin_kg.dialogue.generate import Writer
    from guqin_kg.dialogue.rows import Rows, view_of
    from guqin_kg.notation.format import short_reading
    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.notation.rdf import to_triples

    grammar, turns, views = session.grammar, templates.turns, templates.views
    needed = [views[key] for key in sorted({view_of(t) for t in turns.templates}, key=repr)]
    for start in range(0, len(notations), _CHUNK):
        part = notations[start : start + _CHUNK]
        aside = ox.Store()
        aside.bulk_extend(
            ox.Quad(t.subject, t.predicate, t.object) for notation in part for t in to_triples(notation, grammar)
        )
        ask: Any = session.store.query
        ask_aside: Any = aside.query
        rows = Rows(ask, session.library, config.lang, needed, ask_aside)
        writer = Writer(turns, views, rows, seed=config.seed, with_images=False)
        iris = [notation_iri(notation, grammar) for notation in part]
        rows.fetch(iris)
        for iri, notation in zip(iris, part, strict=True):
            yield writer.record(iri, short_reading(notation, grammar))

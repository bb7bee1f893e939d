"""Explain a notation or a base notation from the graph: texts bound to queries, with the sources they rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from guqin_kg.dialogue.regenerate import library_of, template_folders
from guqin_kg.dialogue.rows import Rows, View, view_of
from guqin_kg.dialogue.templates import Template, load_templates
from guqin_kg.dialogue.turns import TurnSet, turn_sets
from guqin_kg.errors import NotFoundError, ReadingError
from guqin_kg.model import Notation
from guqin_kg.query.binding import bind, prologue

if TYPE_CHECKING:
    from guqin_kg.graph.store import Generation
    from guqin_kg.graph.workspace import Workspace
    from guqin_kg.notation.grammar import Grammar
    from guqin_kg.query.library import QueryLibrary

_NOTATION_SET = "explain"
_BASE_SET = "explain-base"


@dataclass
class Statement:
    """One sentence or two, with the query, the template and the resources it rests on."""

    text: str
    query: str
    template: str
    sources: list[str]


@dataclass
class Explanation:
    """What can be said about one thing.

    Attributes:
        about: what was asked (a reading, a name or an IRI).
        iri: the resource explained.
        stated: whether the graph itself holds it (a reading that the grammar allows is explained all the same).
        statements: texts in order.
    """

    about: str
    iri: str
    lang: str
    stated: bool = True
    statements: list[Statement] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All texts as one."""
        return ("" if self.lang == "zh" else " ").join(s.text for s in self.statements)

    def to_json(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "about": self.about,
            "iri": self.iri,
            "lang": self.lang,
            "stated": self.stated,
            "text": self.text,
            "statements": [vars(s) for s in self.statements],
        }


def explain(ws: Workspace, generation: Generation, about: str | Notation, lang: str = "zh") -> list[Explanation]:
    """Explain ``about``: a reading, a structure, the name of a base notation, or an IRI (full or prefixed).

    A name with several meanings gets one explanation each, the notation first; a structure has one meaning.

    Raises:
        ReadingError: it is no reading that the grammar allows, and no name in the graph; points at the character.
        NotFoundError: the IRI is not in the graph.
        DataError: a structure holds a word that is not in the graph.
    """
    from guqin_kg.query.terms import expand

    library = library_of(ws)
    if isinstance(about, Notation):
        from guqin_kg.notation.format import short_reading

        grammar = _grammar(ws)
        return [_explain_notation(ws, generation, library, short_reading(about, grammar), about, grammar, lang)]
    iri = about if "://" in about else expand(about)
    if iri is not None:
        return [_explain_iri(ws, generation, library, about, iri, lang)]
    found: list[Explanation] = []
    problem: ReadingError | None = None
    try:
        found.append(_explain_reading(ws, generation, library, about, lang))
    except ReadingError as error:
        problem = error
    said = {source for e in found for s in e.statements for source in s.sources}
    for base in _bases_named(generation, library, about):
        if base not in said:
            found.append(_told(ws, generation, library, _BASE_SET, about, base, lang))
    if not found:
        assert problem is not None
        raise problem
    return found


def _bases_named(generation: Generation, library: QueryLibrary, name: str) -> list[str]:
    spec = library.get("bases-named")
    rows: Any = generation.store.query(prologue(bind(spec, {"name": name})))
    return sorted({row["base"].value for row in rows})


def _explain_iri(
    ws: Workspace, generation: Generation, library: QueryLibrary, about: str, iri: str, lang: str
) -> Explanation:
    for name in (_NOTATION_SET, _BASE_SET):
        found = _told(ws, generation, library, name, about, iri, lang)
        if found.statements:
            return found
    raise NotFoundError(
        f"the graph holds no notation with the IRI {iri}",
        hint="a reading is explained too: guqin explain READING",
    )


def _explain_reading(
    ws: Workspace, generation: Generation, library: QueryLibrary, about: str, lang: str
) -> Explanation:
    from guqin_kg.notation.parse import parse

    grammar = _grammar(ws)
    return _explain_notation(ws, generation, library, about, parse(about, grammar), grammar, lang)


def _grammar(ws: Workspace) -> Grammar:
    from guqin_kg.inventory import load_inventory
    from guqin_kg.notation.grammar import grammar_of

    return grammar_of(load_inventory(base=ws.sign_files()))


def _explain_notation(
    ws: Workspace,
    generation: Generation,
    library: QueryLibrary,
    about: str,
    notation: Notation,
    grammar: Grammar,
    lang: str,
) -> Explanation:
    import pyoxigraph as ox

    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.notation.rdf import to_triples

    iri = notation_iri(notation, grammar)
    found = _told(ws, generation, library, _NOTATION_SET, about, iri, lang)
    if found.statements:
        return found
    aside = ox.Store()
    aside.extend(ox.Quad(t.subject, t.predicate, t.object) for t in to_triples(notation, grammar))
    found = _told(ws, generation, library, _NOTATION_SET, about, iri, lang, aside.query)
    found.stated = False
    return found


def _told(
    ws: Workspace,
    generation: Generation,
    library: QueryLibrary,
    name: str,
    about: str,
    iri: str,
    lang: str,
    ask_notations: Callable[[str], Any] | None = None,
) -> Explanation:
    turns = _set(ws, name, lang)
    views = {key: View(key, library) for key in {view_of(t) for t in turns.templates}}
    ask: Callable[[str], Any] = generation.store.query
    rows = Rows(ask, library, lang, views.values(), ask_notations)
    rows.fetch([iri])
    out = Explanation(about, iri, lang)
    for group in turns.places:
        chosen = _first(group, views, rows, iri)
        if chosen is None:
            continue
        template, data, view = chosen
        text = template.render(template.answers[0], data)
        if text:
            rests = sorted({iri, *rows.rests(view, iri)})
            out.statements.append(Statement(text, template.query, template.name, rests))
    return out


def _set(ws: Workspace, name: str, lang: str) -> TurnSet:
    sets = turn_sets(load_templates(template_folders(ws), lang))
    if (name, lang) not in sets:
        raise NotFoundError(f"there are no templates for explanations in language {lang!r}", hint="zh and en are there")
    return sets[name, lang]


def _first(
    group: Iterable[Template], views: dict[Any, View], rows: Rows, iri: str
) -> tuple[Template, Sequence[Any], View] | None:
    for template in group:
        view = views[view_of(template)]
        data = rows.of(view, iri)
        if data:
            return template, data, view
    return None

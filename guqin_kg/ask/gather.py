"""What the graph says about what a question names: sentences of the templates and rows of the query library.

Which of them suits is decided by likeness of the question to the questions that templates and queries declare, rare
characters (words in English) counting more than common ones.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from guqin_kg.ask.finding import Found
from guqin_kg.errors import GuqinKGError
from guqin_kg.inventory import GQ, local

if TYPE_CHECKING:
    from guqin_kg.dialogue.templates import Template
    from guqin_kg.query.session import GraphSession
    from guqin_kg.query.spec import ParamSpec, QuerySpec

_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
_DEFINITION = "http://www.w3.org/2004/02/skos/core#definition"
_SOURCE = "http://purl.org/dc/terms/source"
_SETS = ("twenty-two", "explain")
_LIKE = 0.22
"""Least likeness of a declared question for its answer to be one."""
_SURELY = 0.6
"""Least likeness for a query that takes nothing of what the question names."""
_STEP = 0.04
_QUERIES = 3
_ROWS = 20
_STOP = re.compile(r"(a|an|the|is|are|of|in|on|to|what|which|how|do|does|it|this|that|and|or|for|with|by|be)\Z")


@dataclass
class Evidence:
    """One statement, with the query, the template and the resources it rests on, and how well it suits."""

    text: str
    query: str | None
    template: str | None
    sources: list[str] = field(default_factory=list)
    score: float = 0.0

    def to_json(self, number: int) -> dict[str, Any]:
        """JSON-able form."""
        return {"number": number, **vars(self), "score": round(self.score, 3)}


def grams(text: str, lang: str) -> Counter[str]:
    """Characters and pairs of them (Chinese), or words (English)."""
    if lang == "en":
        return Counter(w.rstrip("s") for w in re.findall(r"[a-z]+", text.lower()) if not _STOP.match(w))
    bare = re.sub(r"\W", "", text)
    return Counter([*bare, *(bare[at : at + 2] for at in range(len(bare) - 1))])


class Likeness:
    """Likeness of a question to declared ones, 0 to 1."""

    def __init__(self, declared: Iterable[str], lang: str) -> None:
        self.lang = lang
        counted = [grams(text, lang) for text in declared]
        seen = Counter(gram for row in counted for gram in row)
        self._weight = {gram: math.log(1 + len(counted) / count) for gram, count in seen.items()}
        self._rare = math.log(1 + len(counted))

    def __call__(self, first: str, second: str) -> float:
        a, b = grams(first, self.lang), grams(second, self.lang)
        weigh = self._weight.get
        both = sum(weigh(g, self._rare) for g in a if g in b)
        alone = [sum(weigh(g, self._rare) for g in row) for row in (a, b)]
        return both / math.sqrt(alone[0] * alone[1]) if both else 0.0


class Gatherer:
    """Gathers statements.

    Args:
        session: the opened graph.
        lang: language of the statements.
    """

    def __init__(self, session: GraphSession, lang: str) -> None:
        self.session = session
        self.lang = lang

    def gather(self, question: str, found: Sequence[Found], top: int) -> list[Evidence]:
        """Statements about ``found`` that bear on ``question``, best first, at most ``top``."""
        bare = question
        for item in sorted(found, key=lambda f: -len(f.text)):
            bare = bare.replace(item.text, " ")
        out: list[Evidence] = []
        for item in found:
            if item.kind == "notation":
                out += self._about_notation(item, bare)
            else:
                out += self._about_name(item, bare)
        out += self._rows(question, bare, found)
        best: dict[str, Evidence] = {}
        for evidence in out:
            if evidence.text not in best or evidence.score > best[evidence.text].score:
                best[evidence.text] = evidence
        return sorted(best.values(), key=lambda e: -e.score)[:top]

    # -- notations: the answers of the dialogue templates ----------------------------------------------------------

    @cached_property
    def _templates(self) -> list[Template]:
        from guqin_kg.dialogue.regenerate import template_folders
        from guqin_kg.dialogue.templates import load_templates
        from guqin_kg.dialogue.turns import turn_sets

        sets = turn_sets(load_templates(template_folders(self.session.workspace), self.lang))
        found = {t.name: t for name in _SETS if (name, self.lang) in sets for t in sets[name, self.lang].templates}
        return [t for _, t in sorted(found.items()) if not t.name.rpartition("/")[2].startswith(("false-", "wrong-"))]

    @cached_property
    def _like(self) -> Likeness:
        asked = [phrase.source for t in self._templates for phrase in t.questions]
        asked += [spec.question.get(self.lang, "") for spec in self._library]
        return Likeness(asked, self.lang)

    def _about_notation(self, item: Found, bare: str) -> list[Evidence]:
        from guqin_kg.dialogue.rows import Rows, View, view_of

        library = self.session.library
        views = {key: View(key, library) for key in {view_of(t) for t in self._templates}}
        ask: Any = self.session.store.query
        rows = Rows(ask, library, self.lang, views.values(), self._stated(item))
        rows.fetch([item.iri])
        out = []
        for template in self._templates:
            view = views[view_of(template)]
            data = rows.of(view, item.iri)
            if not data:
                continue
            asked = [phrase.static or re.sub(r"{[{%].*?[%}]}", "", phrase.source) for phrase in template.questions]
            score = max((self._like(bare, q) for q in asked), default=0.0)
            text = template.render(template.answers[0], data)
            if text:
                usual = _EXPLAINED - template.sets.get("explain", 100) * _STEP
                sources = sorted({item.iri, *rows.rests(view, item.iri)})
                score = 1 + score if score >= _LIKE else usual
                if score > 0:
                    out.append(Evidence(text, template.query, template.name, sources, score))
        return out

    def _stated(self, item: Found) -> Any:
        """Where the notation is looked up: the store, or, for one it does not hold, its own statements beside it."""
        import pyoxigraph as ox

        node = ox.NamedNode(item.iri)
        if next(self.session.store.quads_for_pattern(node, None, None), None) is not None:
            return None
        from guqin_kg.notation.parse import parse
        from guqin_kg.notation.rdf import to_triples

        grammar = self.session.grammar
        aside = ox.Store()
        aside.extend(ox.Quad(t.subject, t.predicate, t.object) for t in to_triples(parse(item.text, grammar), grammar))
        return aside.query

    # -- base notations and terms: explanations, definitions -------------------------------------------------------

    def _about_name(self, item: Found, bare: str) -> list[Evidence]:
        if item.kind == "base":
            from guqin_kg.explain import explain

            told = explain(self.session.workspace, self.session.generation, item.iri, self.lang)
            return [
                Evidence(s.text, s.query, s.template, s.sources, _EXPLAINED - at * _STEP)
                for e in told
                for at, s in enumerate(e.statements)
            ]
        view = self.session.inventory.view
        definition = view.by_lang(item.iri, _DEFINITION).get(self.lang)
        label = view.by_lang(item.iri, _LABEL).get(self.lang, item.text)
        if not definition:
            return []
        text = f"{label}：{definition}" if self.lang == "zh" else f"{label}: {definition}"
        sources = [item.iri, *view.values(item.iri, _SOURCE)]
        return [Evidence(text, None, None, sources, _EXPLAINED)]

    # -- the query library -----------------------------------------------------------------------------------------

    @cached_property
    def _library(self) -> list[QuerySpec]:
        return [s for s in self.session.library.all() if s.kind == "select" and not {"dialogue", "check"} & set(s.tags)]

    def _rows(self, question: str, bare: str, found: Sequence[Found]) -> list[Evidence]:
        suited = []
        for spec in self._library:
            asked = spec.question.get(self.lang, "")
            score = max(self._like(bare, asked), self._like(question, asked))
            if score >= _LIKE * 1.3:
                suited.append((score, spec))
        out = []
        for score, spec in sorted(suited, key=lambda pair: (-pair[0], pair[1].name))[:_QUERIES]:
            params = self._params(spec, found)
            if params is None or (found and not params and score < _SURELY):
                continue
            try:
                result = self.session.query(spec, params)
            except GuqinKGError:
                continue
            if len(result):
                out.append(self._evidence(spec, params, result.rows, 1 + score))
        return out

    def _evidence(self, spec: QuerySpec, params: dict[str, Any], rows: list[dict[str, Any]], score: float) -> Evidence:
        given = set(params.values())
        lines = dict.fromkeys(
            " ".join(str(v) for v in row.values() if v is not None and not _CODE.match(str(v))) for row in rows
        )
        shown = [line for line in list(lines)[:_ROWS] if line]
        more = f" … ({len(lines)})" if len(lines) > _ROWS else ""
        listed = ("；" if self.lang == "zh" else "; ").join(shown) + more
        asked = spec.question.get(self.lang, spec.name).rstrip("？?")
        sources = {v for row in rows[:_ROWS] for v in row.values() if isinstance(v, str) and v.startswith("http")}
        text = f"{asked}：{listed}。" if self.lang == "zh" else f"{asked}: {listed}."
        return Evidence(text, spec.name, None, sorted(sources | {g for g in given if isinstance(g, str)}), score)

    def _params(self, spec: QuerySpec, found: Sequence[Found]) -> dict[str, Any] | None:
        """Values for the parameters of a query from what was found, None when one is missing."""
        free = list(found)
        out: dict[str, Any] = {}
        for param in spec.params:
            item = next((f for f in free if self._fits(f, param)), None)
            if item is not None:
                out[param.name] = item.iri if param.type == "iri" else item.number
                free.remove(item)
            elif param.name == "lang":
                out["lang"] = self.lang
            elif not param.optional and param.default is None:
                return None
        return out

    def _fits(self, item: Found, param: ParamSpec) -> bool:
        if param.type == "integer":
            return item.number is not None
        if param.type != "iri":
            return False
        if param.cls is None:
            return False
        wanted = local(param.cls.replace("gq:", GQ))
        if item.kind == "notation":
            return wanted in ("CompoundNotation", "SubtractiveNotation")
        kinds = {local(v) for v in self.session.inventory.view.values(item.iri, _TYPE)}
        return wanted in kinds


_CODE = re.compile(r"https?://|[a-z-]+\Z")
"""Values that are no words for people: IRIs and codes."""
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_EXPLAINED = 0.3
"""What a sentence of an explanation is worth when the question is like nothing that templates answer."""

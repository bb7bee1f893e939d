"""Answer questions from the graph: what a question names is looked up, the answer is what the graph says about it.

    from guqin_kg.ask import ask
    answer = ask(session, "大九勾四用哪个手指？")
    answer.text, answer.statements

Without a language model the answer is made of the graph's own sentences. With one it is worded by the model from the
same statements, and words of the notation that stand in none of them are pointed out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.ask.finding import Finder, Found, language
from guqin_kg.ask.gather import Evidence, Gatherer
from guqin_kg.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from guqin_kg.query.session import GraphSession

MAX_QUESTION = 1000
_NEAR = 0.1
"""Statements at most this far from the best one belong to the answer."""


@dataclass
class Answer:
    """What was asked and what the graph says.

    Attributes:
        text: the answer.
        found: what the question names.
        statements: what the answer rests on, best first; the first ``used`` of them are the answer itself.
        llm: ``none``, or the model that worded the answer.
        unsupported: words of the notation in a model's answer that stand in no statement.
        image: what the recogniser says about the picture.
    """

    question: str
    text: str
    lang: str
    found: list[Found]
    statements: list[Evidence]
    llm: str = "none"
    unsupported: list[str] = field(default_factory=list)
    image: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-able form."""
        out: dict[str, Any] = {
            "question": self.question,
            "answer": self.text,
            "lang": self.lang,
            "llm": self.llm,
            "found": [vars(f) for f in self.found],
            "statements": [s.to_json(number) for number, s in enumerate(self.statements, 1)],
        }
        if self.llm != "none":
            out["unsupported"] = self.unsupported
        if self.image is not None:
            out["image"] = self.image
        return out


def ask(
    session: GraphSession,
    question: str,
    *,
    image: Path | None = None,
    llm: str = "none",
    model: str | None = None,
    lang: str | None = None,
    adapter: str | None = None,
    top: int = 8,
) -> Answer:
    """Answer a question from the graph.

    Args:
        session: the opened graph.
        question: in Chinese or English.
        image: picture of a glyph the question is about.
        llm: ``none``, the URL of an OpenAI-compatible endpoint, or the folder of a local model.
        model: name of the model at a URL (default: the first it offers).
        lang: ``zh`` or ``en`` (default: as the question).
        adapter: of the recogniser, for ``image``.
        top: how many statements at most.

    Returns:
        The answer with what it rests on.

    Raises:
        UsageError: an empty or endless question, or an adapter without a picture.
        ReadingError: the question names a notation that cannot be read as a whole.
        NotFoundError: the graph knows nothing the question names, or the picture is no jianzi.
        DataError: the language model does not answer.
    """
    question = question.strip()
    if not question or len(question) > MAX_QUESTION:
        raise UsageError(f"a question has 1 to {MAX_QUESTION} characters", hint='guqin ask "What does gou mean?"')
    if adapter is not None and image is None:
        raise UsageError(
            "--adapter needs --image: an adapter reads pictures",
            hint="give the picture asked about, --image FILE, or leave --adapter out",
        )
    lang = lang or language(question)
    finder = Finder(session, lang)
    found = finder.find(question)
    seen = _look(session, image, adapter) if image is not None else None
    if seen is not None:
        found = [Found.notation(seen["reading"], seen["iri"]), *found]
    statements = Gatherer(session, lang).gather(question, found, top)
    if not statements:
        raise NotFoundError(
            "the graph knows nothing that this question names",
            code="nothing-found",
            hint="name a notation, a base notation, a tuning or a term; `guqin query --list` shows more",
        )
    answer = Answer(question, "", lang, found, statements, llm, image=seen)
    if llm == "none":
        kept = [s for s in statements if s.score >= statements[0].score - _NEAR][:3]
        answer.text = ("" if lang == "zh" else " ").join(dict.fromkeys(s.text for s in kept))
    else:
        from guqin_kg.ask.llm import complete

        answer.text = complete(llm, question, [s.text for s in statements], lang, model)
        known = question + "".join(s.text for s in statements)
        answer.unsupported = [
            word for word in _words(session, finder.find(answer.text, strict=False)) if word not in known
        ]
    return answer


def _words(session: GraphSession, found: list[Found]) -> list[str]:
    """The words of what was found, notations taken apart, sorted."""
    from guqin_kg.notation.components import component_names
    from guqin_kg.notation.parse import parse

    words: set[str] = set()
    for item in found:
        if item.kind == "notation":
            words.update(component_names(parse(item.text, session.grammar), session.grammar))
        else:
            words.add(item.text)
    return sorted(words)


def _look(session: GraphSession, image: Path, adapter: str | None) -> dict[str, Any]:
    """The best reading of a picture, with what else it may be."""
    from guqin_kg.recognise.recogniser import Recogniser

    reader = Recogniser.open(adapter=adapter, grammar=session.grammar, workspace=session.workspace.root)
    (row,) = reader.recognise([image], 3, False)
    if "error" in row:
        from guqin_kg.errors import DataError

        problem = row["error"]
        raise DataError(problem["message"], code=problem["code"], hint=problem.get("hint"), file=image)
    candidates = row["candidates"]
    if not row.get("jianzi", bool(candidates)) or not candidates:
        raise NotFoundError(
            "this picture is not recognised as a jianzi",
            code="not-a-jianzi",
            file=image,
            hint=f"give one glyph, cut out; what it was nearly read as: guqin recognize {image} --format json",
        )
    first = candidates[0]
    return {
        "file": str(image),
        "reading": first["reading"],
        "iri": first.get("iri") or _iri(session, first["reading"]),
        "probability": first["probability"],
        "others": [{"reading": c["reading"], "probability": c["probability"]} for c in candidates[1:]],
    }


def _iri(session: GraphSession, reading: str) -> str:
    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.notation.parse import parse

    return notation_iri(parse(reading, session.grammar), session.grammar)

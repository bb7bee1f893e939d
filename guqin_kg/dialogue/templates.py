"""Template files: header, phrasings, and the check that a template and its query fit each other.

A template is one file ``<name>.<lang>.j2``::

    {# query: dialogue/identity
       sets: {six: 1, twenty-two: 1}
       columns: [name, form_label] #}
    == question
    这是什么谱字？
    == answer
    这是{{ row.name }}，……

Several ``== question`` and ``== answer`` sections are phrasings, one of which is chosen per notation. Lines of a
phrasing are joined (Chinese without, English with a space); an empty line is a line break. ``row`` is the first row of
the query, ``rows`` are all of them; a template prints nothing but its own words and columns of its query.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from guqin_kg.dialogue import filters
from guqin_kg.dialogue.sandbox import compiled, environment
from guqin_kg.errors import DataError, NotFoundError, decoded

LANGS = ("zh", "en")
SHARED = frozenset({"row", "rows", "chance"})
_HEADER = re.compile(r"\A\s*\{#-?(.*?)-?#\}", re.S)
_SECTION = re.compile(r"^== *(question|answer|text) *$", re.M)
_KEYS = {"query", "lookups", "where", "needs", "needs_all", "sets", "columns", "about"}
POOL = "pool"


class TemplateError(DataError):
    """A template is broken or does not fit its query; carries file and line."""

    default_code = "template"


@dataclass(frozen=True)
class Phrase:
    """One phrasing: Jinja source with its first line (1-based) in the file."""

    source: str
    line: int
    static: str | None = None


@dataclass(frozen=True)
class Template:
    """One template file, read and checked.

    Attributes:
        name: file name without language and suffix, with its folder (``dialogue/identity``).
        sets: set name to place (1-based), or 0 for the pool from which a missing turn is replaced.
        lookups: (column, lookup query) pairs whose facts are joined to the rows.
        where: (column, allowed values) pairs; only such rows are seen.
        needs: (column, values) pairs: without a row that has each of the values (any value when there are none) in the
            column, the turn does not apply.
        columns: the columns of the query that the header says are used.
    """

    name: str
    lang: str
    query: str
    lookups: tuple[tuple[str, str], ...]
    where: tuple[tuple[str, tuple[Any, ...]], ...]
    needs: tuple[tuple[str, tuple[Any, ...]], ...]
    sets: Mapping[str, int]
    columns: tuple[str, ...]
    questions: tuple[Phrase, ...]
    answers: tuple[Phrase, ...]
    path: Path
    digest: str
    about: str = ""
    _compiled: dict[Phrase, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def by_chance(self) -> bool:
        """Whether the text depends on ``chance``."""
        return any("chance" in phrase.source for phrase in (*self.questions, *self.answers))

    def render(self, phrase: Phrase, rows: Sequence[Any], chance: int = 0) -> str:
        """The text of ``phrase`` for the rows of one notation; ``chance`` is what ``choose`` draws with.

        Raises:
            TemplateError: an unbound value would be printed, or the template fails; names file and line.
        """
        if phrase.static is not None:
            return phrase.static
        run = self._compiled.get(phrase)
        if run is None:
            run = self._compiled[phrase] = _compile(self, phrase)
        try:
            return run({"row": rows[0], "rows": rows, "chance": chance})
        except Exception as error:
            raise TemplateError(
                f"{type(error).__name__}: {error}",
                file=self.path,
                line=_error_line(self, phrase, rows),
                hint=f"query {self.query} gave this row: {rows[0]!r:.300}",
            ) from error


def joined(source: str, lang: str) -> str:
    """Lines of a phrasing joined into paragraphs: an empty line is a line break."""
    glue = " " if lang != "zh" else ""
    paragraphs = re.split(r"\n[ \t]*\n", source.strip())
    return "\n".join(glue.join(line.strip() for line in p.split("\n")) for p in paragraphs)


def _compile(template: Template, phrase: Phrase) -> Callable[[dict[str, Any]], str]:
    render = compiled(joined(phrase.source, template.lang))
    squeeze = _squeeze_en if template.lang != "zh" else str.strip
    return lambda values: squeeze(render(values))


_SPACES = re.compile(r" {2,}")
_BEFORE = re.compile(r" +([,.;:)?])")


def _squeeze_en(text: str) -> str:
    return _BEFORE.sub(r"\1", _SPACES.sub(" ", text)).strip()


def _error_line(template: Template, phrase: Phrase, rows: Sequence[Any]) -> int:
    """Line in the file: the phrase rendered again as it stands, so that the traceback counts real lines."""
    try:
        environment().from_string(phrase.source).render(row=rows[0], rows=rows, chance=0)
    except Exception as error:
        frame, line = error.__traceback__, 1
        while frame is not None:
            if frame.tb_frame.f_code.co_filename == "<template>":
                line = frame.tb_lineno
            frame = frame.tb_next
        return phrase.line + line - 1
    return phrase.line


def parse_template(path: Path, text: str, *, root: Path) -> Template:
    """Read one template.

    Raises:
        TemplateError: the file name, header, sections or Jinja syntax are wrong; names file and line.
    """
    import yaml

    name, _, lang = path.name.removesuffix(".j2").rpartition(".")
    if lang not in LANGS or not name:
        raise TemplateError("a template is named <name>.<lang>.j2 with lang zh or en", file=path)
    header = _HEADER.match(text)
    if not header:
        raise TemplateError(
            "the template does not begin with a header comment",
            file=path,
            line=1,
            hint="begin with {# query: dialogue/<name> ... #}; see docs/dialogues.md",
        )
    try:
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        head = "\n".join(line.strip() for line in header[1].split("\n"))
        known = yaml.load(head, Loader=loader) or {}  # noqa: S506 (a safe loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 1 + (mark.line if mark else 0)
        raise TemplateError(f"the header is not well-formed: {error}", file=path, line=line) from None
    if not isinstance(known, dict) or set(known) - _KEYS or "query" not in known:
        unknown = sorted(set(known) - _KEYS) if isinstance(known, dict) else []
        raise TemplateError(
            f"unknown key in the header: {', '.join(unknown)}" if unknown else "the header names no query",
            file=path,
            line=1,
            hint=f"keys are {', '.join(sorted(_KEYS))}",
        )
    sections: dict[str, list[Phrase]] = {"question": [], "answer": [], "text": []}
    marks = list(_SECTION.finditer(text))
    for mark, following in zip(marks, [*marks[1:], None], strict=False):
        body = text[mark.end() : following.start() if following else len(text)].strip("\n")
        first = text.count("\n", 0, mark.end()) + 2
        plain = "{" not in body
        sections[mark[1]].append(Phrase(body, first, joined(body, lang) if plain else None))
    answers = sections["answer"] + sections["text"]
    sets = {str(k): _place(v, path) for k, v in (known.get("sets") or {}).items()}
    if not answers or (not sections["question"] and not sections["text"]):
        raise TemplateError(
            "the template lacks a section",
            file=path,
            hint="it needs '== question' and '== answer' (or '== text' for an explanation), each at least once",
        )
    return Template(
        name=(path.parent.relative_to(root) / name).as_posix(),
        lang=lang,
        query=str(known["query"]),
        lookups=tuple(sorted((str(k), str(v)) for k, vs in (known.get("lookups") or {}).items() for v in _listed(vs))),
        where=tuple(sorted((str(k), _allowed(v)) for k, v in (known.get("where") or {}).items())),
        needs=(
            *((str(k), ()) for k in _listed(known.get("needs") or [])),
            *sorted((str(k), _allowed(v)) for k, v in (known.get("needs_all") or {}).items()),
        ),
        sets=sets,
        columns=tuple(known.get("columns") or ()),
        questions=tuple(sections["question"]),
        answers=tuple(answers),
        path=path,
        digest=hashlib.blake2b(text.encode(), digest_size=8).hexdigest(),
        about=str(known.get("about") or ""),
    )


def _place(value: Any, path: Path) -> int:
    if value == POOL:
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise TemplateError(f"a place in a set is a number from 1 or '{POOL}', not {value!r}", file=path, line=1)


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _allowed(values: Any) -> tuple[Any, ...]:
    """Allowed values of a column: prefixed names stand for IRIs, null for an unbound column."""
    from guqin_kg.query.terms import expand

    return tuple((expand(v) or v) if isinstance(v, str) else v for v in _listed(values))


def _trees(template: Template) -> list[tuple[Phrase, Any]]:
    """Syntax trees of the phrasings that hold more than plain words; every name, filter and test in them is known.

    Raises:
        TemplateError: a phrasing does not compile; names file and line.
    """
    from jinja2 import TemplateSyntaxError, nodes

    env = environment()
    out = []
    for phrase in (*template.questions, *template.answers):
        if phrase.static is not None:
            continue
        try:
            tree = env.parse(phrase.source)
        except TemplateSyntaxError as error:
            raise TemplateError(
                f"does not compile: {error.message}",
                file=template.path,
                line=phrase.line + error.lineno - 1,
                hint="see docs/dialogues.md for the template language",
            ) from None
        names = list(tree.find_all(nodes.Name))
        known = SHARED | {name.name for name in names if name.ctx != "load"} | {"loop"}
        unknown = [
            (n.name, n.lineno, "name", "a template knows row, rows and chance") for n in names if n.name not in known
        ]
        unknown += [
            (f.name, f.lineno, "filter", "see the list of filters in docs/dialogues.md")
            for f in tree.find_all(nodes.Filter)
            if f.name not in env.filters
        ]
        unknown += [
            (t.name, t.lineno, "test", "only the tests of Jinja")
            for t in tree.find_all(nodes.Test)
            if t.name not in env.tests
        ]
        for word, line, kind, hint in unknown:
            raise TemplateError(
                f"does not compile: unknown {kind} {word!r}", file=template.path, line=phrase.line + line - 1, hint=hint
            )
        out.append((phrase, tree))
    return out


def read_columns(template: Template) -> dict[str, int]:
    """Columns that the template really reads, with the line of the first use.

    Every attribute taken from a name that stands for a row counts, and every constant argument of the column filters
    (``rows|distinct('string')``).
    """
    from jinja2 import nodes

    found: dict[str, int] = {}
    for phrase, tree in _trees(template):

        def note(name: str, line: int, first: int = phrase.line) -> None:
            found.setdefault(name, first + line - 1)

        for attribute in tree.find_all(nodes.Getattr):
            if attribute.attr not in filters.NOT_COLUMNS:
                note(attribute.attr, attribute.lineno)
        for call in tree.find_all(nodes.Filter):
            if call.name in filters.COLUMN_FILTERS:
                for argument in call.args[:1]:
                    if isinstance(argument, nodes.Const):
                        note(str(argument.value), call.lineno)
    return found


def check_columns(template: Template, columns: Iterable[str]) -> None:
    """Both directions: what the template reads is declared and given by the query; what is declared is read.

    Raises:
        TemplateError: naming the column, the file and the line.
    """
    given, declared, read = set(columns), set(template.columns), read_columns(template)
    for column, line in sorted(read.items(), key=lambda item: item[1]):
        if column not in given:
            raise TemplateError(
                f"asks for the column {column!r}, which its query {template.query} lacks",
                file=template.path,
                line=line,
                hint=f"the query gives {', '.join(sorted(given))}",
            )
        if column not in declared:
            raise TemplateError(
                f"reads the column {column!r} without declaring it",
                file=template.path,
                line=line,
                hint="add it to 'columns:' in the header",
            )
    conditions = {column for column, _ in (*template.needs, *template.where)}
    for column, _ in (*template.needs, *template.where):
        if column not in given:
            raise TemplateError(f"names the column {column!r}, which its query lacks", file=template.path, line=1)
    for column in sorted(declared - set(read) - conditions):
        raise TemplateError(f"declares the column {column!r} and never reads it", file=template.path, line=1)


def load_templates(roots: Sequence[Path], lang: str | None = None) -> list[Template]:
    """All templates under ``roots`` (later roots override earlier ones by name), sorted by name and language.

    Raises:
        TemplateError: one of them is broken.
        NotFoundError: there is none.
    """
    found: dict[tuple[str, str], Template] = {}
    for root in roots:
        if not root.is_dir():
            continue
        for path in sorted(root.rglob("*.j2")):
            if lang is not None and not path.name.endswith(f".{lang}.j2"):
                continue
            text = decoded(path.read_bytes(), TemplateError, file=path, hint="save the template as UTF-8")
            template = parse_template(path, text, root=root)
            found[template.name, template.lang] = template
    if not found:
        raise NotFoundError(f"no template under {', '.join(map(str, roots))}")
    return [found[key] for key in sorted(found)]

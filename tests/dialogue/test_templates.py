"""Templates and queries fit each other, in both directions; what does not fit is said with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from guqin_kg import resources
from guqin_kg.dialogue.generate import make_views
from guqin_kg.dialogue.rows import View, view_of
from guqin_kg.dialogue.templates import TemplateError, check_columns, load_templates, read_columns
from guqin_kg.dialogue.turns import turn_sets
from guqin_kg.query.library import packaged

TEMPLATES = load_templates([resources.folder("templates")])


def test_every_file_is_found() -> None:
    files = list(resources.folder("templates").rglob("*.j2"))
    assert len(files) == len(TEMPLATES) > 60


def test_both_languages_have_the_same_templates() -> None:
    names = {
        lang: {(t.name, tuple(sorted(t.sets.items()))) for t in TEMPLATES if t.lang == lang} for lang in ("zh", "en")
    }
    assert names["zh"] == names["en"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: f"{t.name}.{t.lang}")
def test_columns_fit_in_both_directions(template) -> None:
    check_columns(template, View(view_of(template), packaged()).columns)
    assert set(read_columns(template)) <= set(template.columns)


def test_sets_have_their_published_length() -> None:
    sets = turn_sets(TEMPLATES)
    for lang in ("zh", "en"):
        assert len(sets["six", lang].places) == 6
        assert len(sets["twenty-two", lang].places) == 22
        assert len(sets["twenty-two", lang].pool) >= 10


def write(folder: Path, body: str, name: str = "mine.zh.j2") -> Path:
    (folder / "mine").mkdir(exist_ok=True)
    path = folder / "mine" / name
    path.write_text(body, encoding="utf-8")
    return path


GOOD = """{# query: notation-head
   sets: {mine: 1}
   columns: [name] #}
== question
什么？
== answer
是{{ row.name }}。
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("{{ row.name }}", "{{ row.name }", 7, "does not compile"),
        ("{{ row.name }}", "{{ row.colour }}", 7, "which its query notation-head lacks"),
        ("{{ row.name }}", "{{ row.full_name }}", 7, "without declaring it"),
        ("{{ row.name }}", "{{ row.name|shout }}", 7, "unknown filter"),
        ("{{ row.name }}", "{{ name }}", 7, "unknown name"),
        ("columns: [name]", "columns: [name, ids]", 1, "never reads it"),
        ("query: notation-head", "query: notation-heads", 1, "no library query"),
        ("query: notation-head", "querry: notation-head", 1, "unknown key"),
        ("sets: {mine: 1}", "sets: {mine: first}", 1, "a place in a set"),
        (
            "   columns: [name]",
            "   lookups: {name: component-words}\n   columns: [name, name_pitch]",
            1,
            "never reads it",
        ),
        ("   columns: [name]", "   where: {colour: red}\n   columns: [name]", 1, "names the column 'colour'"),
    ],
)
def test_a_broken_template_says_where(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(TemplateError) as caught:
        make_views([turn_sets(load_templates([tmp_path]))["mine", "zh"]], packaged())
    assert words in str(caught.value)
    assert caught.value.file == str(path)
    assert caught.value.line == line


@pytest.mark.parametrize("body", ["no header", "{# query: x #}\n", "{# query: [ #}\n== question\na\n== answer\nb"])
def test_a_file_that_is_no_template(tmp_path: Path, body: str) -> None:
    write(tmp_path, body)
    with pytest.raises(TemplateError):
        load_templates([tmp_path])


def test_a_template_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    write(tmp_path, GOOD).write_bytes(GOOD.encode("gbk"))
    with pytest.raises(TemplateError) as caught:
        load_templates([tmp_path])
    assert (caught.value.code, caught.value.line) == ("not-utf8", 5)


def test_a_template_cannot_leave_its_sandbox(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("row.name", "row.__class__"))
    template = load_templates([tmp_path])[0]
    row = View(view_of(template), packaged()).row_type(*["x"] * 6)
    with pytest.raises(TemplateError):
        template.render(template.answers[0], [row])


def test_an_unbound_value_is_never_printed(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    template = load_templates([tmp_path])[0]
    row = View(view_of(template), packaged()).row_type(*[None] * 6)
    with pytest.raises(TemplateError, match="unbound"):
        template.render(template.answers[0], [row])

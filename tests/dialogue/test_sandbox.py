"""Compiled templates say what plain Jinja says, and reach no further than its sandbox lets them."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2.sandbox import SecurityError

from guqin_kg.dialogue import filters
from guqin_kg.dialogue.rows import row_type
from guqin_kg.dialogue.sandbox import compiled

ROWS = [row_type(["index", "name", "count"])._make(v) for v in ((1, "勾", 3), (2, "挑", None), (2, "抹", 0.5))]
NAMES: dict[str, Any] = {"row": ROWS[0], "rows": ROWS, "chance": 5}


@pytest.mark.parametrize(
    "source",
    [
        "{% for r in rows %}{{ r.name }}{{ loop.index }}/{{ loop.length }}{{ loop.last }}{% endfor %}",
        "{% for p in rows|by('index') %}{% for r in p %}{{ r.index }}{{ loop.first }}{% endfor %};{% endfor %}",
        "{% for r in rows %}{{ loop.revindex }}{{ loop.cycle('a', 'b') }}{{ loop.previtem is defined }}{% endfor %}",
        "{% set found = rows|where('index', 2) %}{{ found[0].name }}{{ found[-1].count }}{{ found|length }}",
        "{{ rows|distinct('index')|join('、') }}{{ rows|bound('count')|choose(chance) is defined }}",
        "{{ rows|map(attribute='name')|join }}{{ rows|length > 2 and row.count ~ row.name }}",
        "{% if row.count == 3 %}{{ 'abc'.upper() }}{% endif %}{{ (rows|distinct('name'))[:2]|listing }}",
    ],
)
def test_the_text_is_that_of_plain_jinja(source: str) -> None:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    plain = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    plain.filters.update(filters.FILTERS)
    assert compiled(source)(NAMES) == plain.from_string(source).render(NAMES)


@pytest.mark.parametrize(
    "source",
    [
        "{{ row.__class__ }}",
        "{{ rows.__len__() }}",
        "{{ (rows|map('upper')).gi_frame }}",
        "{{ rows.append(1) }}",
        "{{ '{0.__class__}'.format(row) }}",
        "{{ row['__class__'] }}",
    ],
)
def test_the_sandbox_holds(source: str) -> None:
    with pytest.raises(SecurityError):
        compiled(source)(NAMES)


@pytest.mark.parametrize("column", ["__class__", "name.__class__", "", "a b"])
def test_filters_read_columns_only(column: str) -> None:
    with pytest.raises(ValueError, match="no column"):
        filters.distinct(ROWS, column)

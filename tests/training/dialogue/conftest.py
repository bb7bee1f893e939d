"""One opened graph, the conversations of the tiny configuration and what a run of it leaves, for all tests here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guqin_kg.graph.workspace import init_workspace
from guqin_kg.query.session import GraphSession, open_graph

if TYPE_CHECKING:  # torch is not everywhere
    from training.dialogue.encode import Encoder
    from training.dialogue.pictures import Pictures
    from training.dialogue.records import Conversation


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> GraphSession:
    return open_graph(init_workspace(tmp_path_factory.mktemp("dialogue") / "ws"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def drawn(session: GraphSession, cache: Path) -> Pictures:
    from training.dialogue.pictures import Pictures

    return Pictures(cache, session.grammar, ("clean",), 48, 1, 1)


@pytest.fixture(scope="session")
def found(session: GraphSession, cache: Path, drawn: Pictures) -> dict[str, list[Conversation]]:
    from training.dialogue import records
    from training.dialogue.config import load
    from training.recipes.dialogue import seen_only

    every = records.generate(load("tiny"), session, cache)
    seen_only(every, drawn)
    return every


@pytest.fixture(scope="session")
def trained(session: GraphSession, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of the tiny configuration."""
    from training.dialogue.config import load
    from training.recipes.dialogue import dialogue

    out = tmp_path_factory.mktemp("trained")
    dialogue(load("tiny"), out, session, cache=cache, quiet=True, command="guqin train dialogue --config tiny")
    return out


@pytest.fixture(scope="session")
def fresh(found: dict[str, list[Conversation]], session: GraphSession) -> Callable[[], tuple[Any, Encoder]]:
    """Makes an untrained tiny model, the same each time, and its encoder."""
    from training.dialogue import vlm
    from training.dialogue.config import load
    from training.dialogue.encode import Encoder
    from training.dialogue.tokenizer import alphabet

    def make() -> tuple[Any, Encoder]:
        texts = [t.question + t.answer for part in found.values() for c in part for t in c.turns]
        model, processor = vlm.build(load("tiny").shape, alphabet(texts, session.inventory), 1)
        return model, Encoder(processor)

    return make


@pytest.fixture
def small() -> dict[str, Any]:
    """What makes a run of any configuration a matter of seconds."""
    from training.dialogue.config import load

    return {"shape": load("tiny").shape.model_dump(), "batch": 2, "bucket": 1, "steps": 2, "log_every": 1,
            "picture_size": 48, "turns_each": 2, "evaluate_notations": 0, "images_each": 1, "notations": 20,
            "bf16": False, "warmup": 0, "scope": "curated", "rules_notations": 0, "max_minutes": None}  # fmt: skip

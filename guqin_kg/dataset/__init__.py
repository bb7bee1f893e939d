"""Images and labels at scale: a plan, shards that are whole or absent, and engines that run them.

    from guqin_kg.dataset import make_plan, run_plan

    plan = make_plan(out, glyphs=19005, per_glyph=70, preset="print", size=64)
    run_plan(out, workers=2)

The bytes of a shard depend on the plan alone: not on the number of workers, the engine, or where a run was interrupted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guqin_kg.dataset.plan import Plan, load_plan, make_plan
    from guqin_kg.dataset.run import run_plan
    from guqin_kg.dataset.shards import make_shard

_HOME = {
    "Plan": "plan",
    "load_plan": "plan",
    "make_plan": "plan",
    "make_shard": "shards",
    "run_plan": "run",
}

__all__ = ["Plan", "load_plan", "make_plan", "make_shard", "run_plan"]


def __getattr__(name: str) -> Any:
    """Load the module of a name when it is first asked for."""
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

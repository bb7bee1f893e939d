"""The sandbox in which templates run, and the code that Jinja makes of them.

Jinja's sandbox checks every attribute when it is read and makes a context and a loop object for every rendering.  A
full run renders half a million phrasings, so what can be decided once is decided when a template is compiled: a name
that no object of Python has itself, and that is no name the sandbox forbids, can only be a column of a row or the state
of a loop, and is read directly.  All else goes through the sandbox as ever.
"""

from __future__ import annotations

import re
import types
from collections import namedtuple
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from guqin_kg.dialogue import filters

_NATIVE = (
    *(str, bytes, int, float, bool, list, tuple, dict, set, frozenset, range, slice, type, type(None)),
    *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType, types.CodeType),
    *(types.FrameType, types.TracebackType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType),
)
#: Columns and loop states may have these names, and reading them from a native object does no harm.
_HARMLESS = frozenset({"index", "count"})
#: What a loop knows besides its place; templates that ask for it get Jinja's own loop object.
_RARE = ("previtem", "nextitem", "loop(", "cycle", "changed", "depth", "revindex")

#: Compiled code that needs all of Jinja's context.
_WHOLE = re.compile(r"\bcontext\b(?!, missing|\.(?:resolve_or_missing|eval_ctx|vars|exported_vars)\b)")

_Place = namedtuple("_Place", "index index0 first last length")


@lru_cache(maxsize=256)
def _places(length: int) -> list[_Place]:
    return [_Place(i + 1, i, i == 0, i == length - 1, length) for i in range(length)]


def _loop(items: Iterable[Any], _undefined: Any) -> Iterable[tuple[Any, _Place]]:
    """Items with their place in the loop."""
    known = list(items)
    return zip(known, _places(len(known)), strict=True)


def _show(value: Any) -> str:
    return str(filters.printable(value))


class _Names(dict[str, Any]):
    """The names a template is given."""

    def __missing__(self, name: str) -> Any:
        from jinja2.runtime import missing

        return missing


class _Context:
    """What compiled code asks of Jinja's context where no filter or call takes the context itself."""

    __slots__ = ("eval_ctx", "exported_vars", "resolve_or_missing", "vars")

    def __init__(self, names: dict[str, Any], eval_ctx: Any) -> None:
        self.resolve_or_missing = _Names(names).__getitem__
        self.eval_ctx = eval_ctx
        self.vars: dict[str, Any] = {}
        self.exported_vars: set[str] = set()


def _environment() -> Any:
    from jinja2 import StrictUndefined, nodes, sandbox
    from jinja2.compiler import CodeGenerator

    forbidden = frozenset().union(*(v for k, v in vars(sandbox).items() if k.startswith("UNSAFE_")))

    def direct(name: str) -> bool:
        if name.startswith("_") or name in forbidden:
            return False
        return name in _HARMLESS or not any(hasattr(kind, name) for kind in _NATIVE)

    class Generator(CodeGenerator):
        """Jinja's code, with columns and constant places read directly and one call a printed value."""

        def visit_Getattr(self, node: Any, frame: Any) -> None:
            if not direct(node.attr):
                super().visit_Getattr(node, frame)
                return
            self.write("(")
            self.visit(node.node, frame)
            self.write(f").{node.attr}")

        def visit_Getitem(self, node: Any, frame: Any) -> None:
            if not (isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, int)):
                super().visit_Getitem(node, frame)
                return
            self.write("(")
            self.visit(node.node, frame)
            self.write(f")[{node.arg.value!r}]")

        def _output_child_pre(self, node: Any, frame: Any, finalize: Any) -> None:
            self.write("(_text if (_text := (")

        def _output_child_post(self, node: Any, frame: Any, finalize: Any) -> None:
            self.write(")).__class__ is str else environment.show(_text))")

    class Sandbox(sandbox.ImmutableSandboxedEnvironment):
        """The sandbox; ``show`` is what prints a value."""

        code_generator_class = Generator
        show = staticmethod(_show)

    env = Sandbox(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True, finalize=filters.printable
    )
    env.filters.update(filters.FILTERS)
    env.globals.clear()
    return env


_ENV: Any = None


def environment() -> Any:
    """The one sandboxed Jinja environment (undefined names are errors, no globals)."""
    global _ENV
    if _ENV is None:
        _ENV = _environment()
    return _ENV


def compiled(source: str) -> Callable[[dict[str, Any]], str]:
    """The function that renders ``source`` with the names it is given."""
    from jinja2.nodes import EvalContext
    from jinja2.runtime import Context

    env = environment()
    space: dict[str, Any] = {"environment": env, "__file__": "<template>"}
    code = str(env.compile(source, raw=True))
    exec(compile(code, "<template>", "exec"), space)  # noqa: S102 (code that the sandbox made)
    if not any(word in source for word in _RARE):
        space["LoopContext"] = _loop
    root, join = space["root"], "".join
    if _WHOLE.search(code):
        return lambda values: join(root(Context(env, values, None, {})))
    evaluation = EvalContext(env)
    return lambda values: join(root(_Context(values, evaluation)))

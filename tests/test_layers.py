"""The house in order: imports point one way, importing is cheap, no notation word stands in Python code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from guqin_kg.inventory import load_inventory

REPO = Path(__file__).resolve().parent.parent

# a module may import modules of its own rank or below
RANKS = {
    "errors": 0,
    "resources": 1,
    "vocab": 1,
    "model": 1,
    "inventory": 2,
    "jsonld": 2,
    "notation": 3,
    "sound": 4,
    "draw": 4,
    "validate": 4,
    "score": 5,
    "dataset": 6,
    "graph": 6,
    "query": 6,
    "reason": 7,
    "dialogue": 7,
    "explain": 7,
    "recognise": 7,
    "docs_ontology": 7,
    "kg": 8,
    "ask": 8,
    "demo": 9,
    "cli": 9,
    "docs": 9,
    "__main__": 9,
    "__init__": 9,
}


# one module of a stage may stand higher than its folder: it joins the shapes with the store for the command
HIGHER = {"validate/run.py": 7}


def modules() -> list[Path]:
    found = sorted((REPO / "guqin_kg").rglob("*.py"))
    assert len(found) > 20
    return found


def stage(path: Path) -> str:
    first = path.relative_to(REPO / "guqin_kg").parts[0]
    return first.removesuffix(".py")


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            if node.module == "guqin_kg":
                names |= {f"guqin_kg.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def test_imports_point_one_way() -> None:
    wrong = []
    for path in modules():
        here = stage(path)
        assert here in RANKS, f"{path} belongs to no stage: add it to RANKS"
        at = path.relative_to(REPO / "guqin_kg").as_posix()
        for name in imported(ast.parse(path.read_text("utf-8"))):
            if name.startswith("training") and here not in ("cli", "demo"):
                wrong.append(f"{path.relative_to(REPO)} imports {name}")
            if name.startswith("guqin_kg."):
                there = name.split(".")[1]
                if there in RANKS and RANKS[there] > HIGHER.get(at, RANKS[here]):
                    wrong.append(f"{path.relative_to(REPO)} imports {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("heavy", ["torch", "rdflib", "pyshacl", "numpy", "PIL", "jinja2", "pyoxigraph", "scipy"])
def test_importing_the_package_is_cheap(heavy: str) -> None:
    code = f"import sys, guqin_kg, guqin_kg.cli; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, f"{heavy} was loaded"


def docstrings(tree: ast.AST) -> set[int]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                found.add(id(first.value))
    return found


def help_texts(tree: ast.AST) -> set[int]:
    """String constants under a ``help=`` keyword (help may name notations), joined or not."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ("help", "epilog", "short_help", "metavar"):
            found |= {id(child) for child in ast.walk(node.value)}
    return found


def test_no_notation_word_stands_in_python() -> None:
    """Words of the hands: no single sign of a stroke, run, pinch, slide or vibrato, no word of two signs or more."""
    hands = {"stroke", "run", "pinch", "attack", "vibrato", "tone", "figure"}
    words = set()
    for base in load_inventory().bases:
        if base.roles & hands or (len(base.name) > 1 and base.roles & {"two-hand", "left-sound", "move", "finger"}):
            words |= {base.name, base.full_name}
    assert len(words) > 100
    wrong = []
    for path in [*modules(), *sorted((REPO / "training").rglob("*.py"))]:
        tree = ast.parse(path.read_text("utf-8"))
        allowed = docstrings(tree) | help_texts(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in allowed:
                found = {w for w in words if w in node.value}
                if found:
                    wrong.append(f"{path.relative_to(REPO)}:{node.lineno} {sorted(found)} in {node.value[:40]!r}")
    assert not wrong, "\n".join(wrong)


def test_no_module_outgrows_its_room() -> None:
    large = [
        f"{p.relative_to(REPO)}: {n} lines"
        for p in [*modules(), *(REPO / "training").rglob("*.py")]
        if (n := len(p.read_text("utf-8").splitlines())) > 500
    ]
    assert not large, "\n".join(large)

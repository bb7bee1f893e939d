"""A workspace: a folder with the user's own statements, settings and outputs."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg import resources
from guqin_kg.errors import DataError, NotFoundError, UsageError

if TYPE_CHECKING:
    from guqin_kg.notation.grammar import Grammar

SETTINGS_FILE = "guqin.toml"
LEXICONS = ("none", "full")

_TEMPLATE = """\
# Settings of this workspace. Everything has a default; delete what you do not need.

[build]
lexicon = "{lexicon}"          # "full" also puts the 26,416 notations of the published lexicon into the store
# ontology = "ontology"     # use another checkout of the ontology instead of the packaged one

[limits]
max_file_mb = 100         # larger files are refused unread
query_seconds = 10        # a query written by hand is stopped after this
query_rows = 100000       # and may not answer with more rows than this
lock_seconds = 30         # how long to wait for another process that writes
"""

_README = """\
Statements of your own, in Turtle (*.ttl). `guqin add` and `guqin import` write here; files written by hand are welcome.
`guqin build` puts them into the store, `guqin validate` checks them.
"""


@dataclass(frozen=True)
class Settings:
    """What ``guqin.toml`` says.

    Attributes:
        lexicon: ``none`` or ``full``.
        ontology: folder used instead of the packaged ontology, or None.
        max_file_mb: size limit of RDF files, in MB.
        query_seconds: deadline of untrusted queries, in seconds.
        query_rows: row limit of untrusted queries.
        lock_seconds: how long a writer waits for another, in seconds.
    """

    lexicon: str = "none"
    ontology: str | None = None
    max_file_mb: float = 100
    query_seconds: float = 10
    query_rows: int = 100_000
    lock_seconds: float = 30


_SECTIONS = {
    "build": ("lexicon", "ontology"),
    "limits": ("max_file_mb", "query_seconds", "query_rows", "lock_seconds"),
}


def read_settings(path: Path) -> Settings:
    """The settings in ``path``; sections of other stages are left to them.

    Raises:
        DataError: not TOML, an unknown key, or a value of the wrong kind; every problem is named.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        raise DataError(
            f"not TOML: {error}", code="settings", file=path, line=int(found[1]) if found else None
        ) from None
    except UnicodeDecodeError:
        raise DataError("not UTF-8", code="settings", file=path) from None
    values: dict[str, Any] = {}
    problems = []
    for section, keys in _SECTIONS.items():
        for key, value in data.get(section, {}).items():
            if key not in keys:
                problems.append(f"[{section}] has no key {key!r} (known: {', '.join(keys)})")
            else:
                values[key] = value
    if values.get("lexicon", "none") not in LEXICONS:
        problems.append(f"lexicon is {' or '.join(LEXICONS)}, not {values['lexicon']!r}")
    for f in fields(Settings):
        number = f.name in _SECTIONS["limits"]
        value = values.get(f.name)
        if (
            number
            and value is not None
            and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0)
        ):
            problems.append(f"{f.name} must be a positive number, not {value!r}")
    if problems:
        raise DataError("; ".join(problems), code="settings", file=path, hint="mend guqin.toml")
    return Settings(**values)


@dataclass(frozen=True)
class Workspace:
    """A workspace folder.

    Attributes:
        root: the folder that holds ``guqin.toml``.
    """

    root: Path
    per_user: bool = field(default=False, compare=False)

    @cached_property
    def settings(self) -> Settings:
        """Its settings (defaults where nothing is said)."""
        path = self.root / SETTINGS_FILE
        return read_settings(path) if path.is_file() else Settings()

    @property
    def graph(self) -> Path:
        """Folder of the user's statements."""
        return self.root / "graph"

    @property
    def state(self) -> Path:
        """Folder of what can be rebuilt: store, locks, caches."""
        return self.root / ".guqin"

    @property
    def out(self) -> Path:
        """Folder of generated data."""
        return self.root / "out"

    def graph_files(self) -> list[Path]:
        """The user's RDF files, in a stable order."""
        if not self.graph.is_dir():
            return []
        found = [p for s in ("*.ttl", "*.nt", "*.jsonld") for p in self.graph.rglob(s) if p.is_file()]
        return sorted((p for p in found if not p.name.startswith(".")), key=lambda p: p.as_posix())

    def ontology_files(self) -> list[Path]:
        """The ontology's Turtle files: the packaged ones, or those of the folder the settings name."""
        if self.settings.ontology is None:
            return resources.ontology_files()
        root = (self.root / self.settings.ontology).resolve()
        if not root.is_dir():
            raise NotFoundError(f"the ontology folder {root} is missing", file=self.root / SETTINGS_FILE)
        skip = {"shapes", "examples", "alignments"}
        files = [p for p in root.rglob("*.ttl") if p.relative_to(root).parts[0] not in skip]
        return sorted(files, key=lambda p: p.relative_to(root).as_posix())

    def own_sign_files(self) -> list[Path]:
        """The user's Turtle files that may speak of signs, rules or traditions: all but those that `guqin add` and
        `import` keep, and these where signs stand there.
        """
        return [p for p in self.graph_files() if p.suffix == ".ttl" and _may_state_signs(p)]

    def sign_files(self) -> list[Path]:
        """The same of the ontology (without its compound notations), then those of the user."""
        return [p for p in self.ontology_files() if p.parent.name != "curated"] + self.own_sign_files()

    @property
    def max_bytes(self) -> int:
        """Size limit of RDF files, in bytes."""
        return int(self.settings.max_file_mb * 2**20)

    def relative(self, path: Path) -> str:
        """``path`` as shown to people: relative to the workspace where it lies inside."""
        try:
            return path.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError:
            return str(path)


_KEPT = (b"# Notations added with `guqin add`", b"# Imported with `guqin import`", b"# What was done to this graph")
_SIGNS = re.compile(
    rb"grammarRole|alias|pattern|(?<!Hand)BasicNotation|sameTechniqueAs|hasStep|HuiNumber|FenNumber|PositionSign"
    rb"|Tradition\b|OutsideConvention|writtenForm|OpenString"
)


def _may_state_signs(path: Path) -> bool:
    data = path.read_bytes()
    return not data.startswith(_KEPT) or _SIGNS.search(data) is not None


def init_workspace(root: Path, *, lexicon: str = "none") -> Workspace:
    """Make ``root`` a workspace; what is already there is kept.

    Raises:
        UsageError: it already is one, or a file is in the way.
    """
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is a file", hint="give a folder")
    if (root / SETTINGS_FILE).exists():
        raise UsageError(f"{root} already is a workspace", code="exists", hint="nothing was changed")
    for folder in ("graph", "sparql", "templates", "out"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "graph" / "README").write_text(_README, encoding="utf-8")
    ignore = root / ".gitignore"
    if not ignore.exists():
        ignore.write_text(".guqin/\nout/\n", encoding="utf-8")
    (root / SETTINGS_FILE).write_text(_TEMPLATE.format(lexicon=lexicon), encoding="utf-8")
    return Workspace(root)


def per_user_root() -> Path:
    """Where the per-user workspace lies."""
    import platformdirs

    return Path(platformdirs.user_data_dir("guqin-kg", appauthor=False)) / "workspace"


def existing_workspace(given: Path | None = None, *, start: Path | None = None) -> Workspace | None:
    """The workspace given, the nearest above the current folder, or the per-user one; None where there is none.

    Raises:
        NotFoundError: the folder given is no workspace.
    """
    if given is not None:
        if not (given / SETTINGS_FILE).is_file():
            raise NotFoundError(
                f"{given} is no workspace (it has no {SETTINGS_FILE})",
                code="no-workspace",
                hint=f"make one with `guqin init {given}`",
            )
        return Workspace(given)
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / SETTINGS_FILE).is_file():
            return Workspace(folder)
    root = per_user_root()
    return Workspace(root, per_user=True) if (root / SETTINGS_FILE).is_file() else None


def find_workspace(given: Path | None = None, *, start: Path | None = None) -> Workspace:
    """The workspace to work in, as :func:`existing_workspace`; where there is none the per-user one is made.

    Raises:
        NotFoundError: the folder given is no workspace.
        DataError: there is none, and none can be made.
    """
    found = existing_workspace(given, start=start)
    if found is not None:
        return found
    root = per_user_root()
    if not os.access(_existing(root), os.W_OK):
        raise DataError(
            f"no workspace above {(start or Path.cwd()).resolve()}, and {root} cannot be made",
            code="no-workspace",
            hint="make one with `guqin init DIR` and work there",
        )
    init_workspace(root)
    return Workspace(root, per_user=True)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def workspace_grammar(workspace: Workspace | None) -> Grammar:
    """The grammar of a workspace's ontology and of the signs that its own files state; without one the released."""
    from guqin_kg.inventory import load_inventory
    from guqin_kg.notation.grammar import default_grammar, grammar_of

    own = workspace.own_sign_files() if workspace else []
    if workspace is None or (workspace.settings.ontology is None and not own):
        return default_grammar()
    return grammar_of(load_inventory(own, base=workspace.ontology_files()))

"""The facade: everything the commands do, as methods of one object.

    from guqin_kg import KnowledgeGraph

    kg = KnowledgeGraph.open()
    kg.notation("…").strings
    kg.query("components-of", notation="…").rows
    print(kg.explain("…", lang="en"))

Each command is a thin face of one of these methods; heavy parts are imported when first used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import NotFoundError, UsageError
from guqin_kg.model import Notation

if TYPE_CHECKING:
    import numpy as np

    from guqin_kg.draw import Drawing
    from guqin_kg.graph.build import BuildReport
    from guqin_kg.graph.edit import EditReport
    from guqin_kg.graph.workspace import Workspace
    from guqin_kg.inventory import Inventory
    from guqin_kg.notation.grammar import Grammar
    from guqin_kg.query.results import QueryResult
    from guqin_kg.query.session import GraphSession
    from guqin_kg.score.context import Interpretation
    from guqin_kg.sound.pitch import PitchReport
    from guqin_kg.validate.report import Report


class KnowledgeGraph:
    """An opened graph of the notation.

    Args:
        session: the opened store with its query library; :meth:`open` makes one.
    """

    def __init__(self, session: GraphSession) -> None:
        self.session = session

    @classmethod
    def open(
        cls,
        workspace: str | Path | None = None,
        *,
        lexicon: str | None = None,
        say: Callable[[str], None] | None = None,
    ) -> KnowledgeGraph:
        """Open a workspace's graph, building or updating its store first where its inputs changed.

        Args:
            workspace: folder; None means the nearest above the current folder, else the per-user one.
            lexicon: ``none`` or ``full``; default what the workspace's settings say.
            say: told when something takes a while.

        Raises:
            GuqinKGError: the workspace's Turtle is broken, or the store is locked by another process.
        """
        from guqin_kg.query.session import open_graph

        return cls(open_graph(Path(workspace) if workspace is not None else None, say=say, lexicon=lexicon))

    # -- what is there -------------------------------------------------------------------------------------------

    @property
    def workspace(self) -> Workspace:
        """The workspace this graph belongs to."""
        return self.session.workspace

    @property
    def inventory(self) -> Inventory:
        """The base notations as records."""
        return self.session.inventory

    @property
    def grammar(self) -> Grammar:
        """The reading rules, compiled."""
        return self.session.grammar

    @property
    def content_hash(self) -> str:
        """Hash of the set of statements."""
        return self.session.content_hash

    # -- readings ------------------------------------------------------------------------------------------------

    def notation(self, reading: str) -> Notation:
        """Reading to structure.

        Raises:
            ReadingError: with the character index and the nearest valid reading.
        """
        from guqin_kg.notation.parse import parse

        return parse(reading, self.grammar)

    def parse(self, reading: str) -> dict[str, Any]:
        """Reading to the contract's JSON object (structure, iri, components, ids), or its ``error``."""
        from guqin_kg.notation.parse import parse_json

        return parse_json(reading, self.grammar)

    def iri(self, notation: str | Notation) -> str:
        """The IRI of a notation: a function of its structure."""
        from guqin_kg.notation.iri import notation_iri

        return notation_iri(self._structure(notation), self.grammar)

    def lexicon(self, **where: str) -> Iterator[Notation]:
        """Every well-formed notation, lazily and in a fixed order; ``where`` restricts fields (``finger=…``).

        Raises:
            UsageError: there is no such field, or no notation has that value; at once, before the first is made.
        """
        from guqin_kg.notation.lexicon import Lexicon

        return Lexicon(self.grammar).select(where or None)

    def _structure(self, notation: str | Notation) -> Notation:
        return self.notation(notation) if isinstance(notation, str) else notation

    # -- questions -----------------------------------------------------------------------------------------------

    def query(self, name: str, **params: Any) -> QueryResult:
        """A library query with bound parameters.

        Args:
            name: the query's name.
            **params: terms, numbers or text; readings, names and notations of :meth:`notation` stand for their IRIs.

        Raises:
            BindError: unknown or missing parameter, or a value of the wrong type.
            ReadingError, NotFoundError: a value that cannot be parsed, or is the name of nothing; no such query.
        """
        return self.session.query(name, params)

    def sparql(self, text: str, *, timeout: float | None = None, max_rows: int | None = None) -> QueryResult:
        """A query of one's own: it only reads, in a process that is stopped at the deadline."""
        return self.session.query_text(text, timeout=timeout, max_rows=max_rows)

    def explain(self, what: str | Notation, lang: str = "zh") -> str:
        """A notation (as a reading or a structure), base notation or IRI in words, from the graph, with its sources.

        Raises:
            ReadingError: it is no reading that the grammar allows, and no name in the graph.
            NotFoundError: the IRI is not in the graph.
        """
        from guqin_kg.explain import explain

        return "\n".join(found.text for found in explain(self.workspace, self.session.generation, what, lang))

    def regenerate(
        self,
        *,
        which: str = "all",
        langs: Sequence[str] = ("zh",),
        scope: str = "curated",
        out: str | Path | None = None,
        seed: int = 0,
        images: bool = True,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Write the dialogues (and, with ``images``, the drawings) that are missing or stale.

        Returns:
            The contract's report, with ``drawings`` counts where pictures were brought up to date.
        """
        from guqin_kg.dialogue.drawings import update_drawings
        from guqin_kg.dialogue.regenerate import library_of, regenerate, scope_notations

        report = regenerate(
            self.workspace,
            self.session.generation,
            which=which,
            langs=langs,
            scope=scope,
            out=Path(out) if out is not None else None,
            seed=seed,
            images=images,
            dry_run=dry_run,
        )
        found = report.to_json()
        if images and scope == "curated" and not dry_run:
            notations = scope_notations(self.session.generation, library_of(self.workspace), scope)
            found["drawings"] = update_drawings(self.workspace, Path(out) if out else self.workspace.out, notations)
        return found

    # -- editing -------------------------------------------------------------------------------------------------

    def validate(self) -> Report:
        """SHACL over the whole graph."""
        from guqin_kg.validate.fast import validate_store

        return validate_store(self.session.store, copy=self.session.generation.in_memory)

    def add(self, *readings: str, dry_run: bool = False) -> EditReport:
        """Add notations: validated first, all or nothing. The graph is reopened at its new state."""
        from guqin_kg.graph.edit import add_readings

        return self._edited(add_readings(self.workspace, list(readings), dry_run=dry_run))

    def add_file(self, path: str | Path, *, dry_run: bool = False) -> EditReport:
        """Add the statements of a Turtle file: validated first, all or nothing."""
        from guqin_kg.graph.edit import add_file

        return self._edited(add_file(self.workspace, Path(path), dry_run=dry_run))

    def remove(self, *readings: str, dry_run: bool = False) -> EditReport:
        """Remove notations of one's own."""
        from guqin_kg.graph.edit import remove_notations

        return self._edited(remove_notations(self.workspace, list(readings), dry_run=dry_run))

    def build(self, *, lexicon: str | None = None, force: bool = False) -> BuildReport:
        """Bring the store up to date with the Turtle files, and reopen."""
        from guqin_kg.graph.build import build
        from guqin_kg.query.session import GraphSession

        generation, report = build(self.workspace, lexicon=lexicon, force=force)
        self._reopen(GraphSession(self.workspace, generation))
        return report

    def _edited(self, report: EditReport) -> EditReport:
        from guqin_kg.query.session import open_graph

        self._reopen(open_graph(self.workspace))
        return report

    def _reopen(self, session: GraphSession) -> None:
        self.session = session
        self.__dict__.pop("_recognisers", None)

    # -- sound and picture ---------------------------------------------------------------------------------------

    def pitch(self, reading: str | Notation, *, tuning: str | None = None, tradition: str | None = None) -> PitchReport:
        """What a notation sounds, read alone."""
        from guqin_kg.sound.pitch import pitch

        return pitch(self._structure(reading), self.inventory, tuning=tuning, tradition=tradition)

    def score(
        self, source: Sequence[str] | str | Path, *, tuning: str | None = None, tradition: str | None = None
    ) -> Interpretation:
        """A sequence of readings (or a score file) interpreted in context."""
        from guqin_kg.score.context import interpret
        from guqin_kg.score.read import Row, Score, read_score

        if isinstance(source, str | Path):
            found = read_score(Path(source))
        else:
            found = Score("readings", tuple(Row(n, str(n), main=text) for n, text in enumerate(source, 1)))
        return interpret(found, self.grammar, tuning=tuning, tradition=tradition)

    def sound_of(self, *readings: str, tuning: str | None = None, seed: int = 0) -> np.ndarray:
        """Readings as audio samples: float array ``(n,)`` in -1..1 at ``guqin_kg.sound.wav.RATE``, one phrase."""
        from guqin_kg.score.export import audio

        return audio(self.score(list(readings), tuning=tuning), self.inventory, seed=seed)

    def draw(
        self,
        reading: str | Notation,
        *,
        style: str | None = None,
        size: int = 224,
        preset: str = "clean",
        seed: int = 0,
    ) -> Drawing:
        """A picture with exact component boxes; same arguments, same bytes."""
        from guqin_kg.draw import draw_spec, sample_spec

        notation = self._structure(reading)
        spec = sample_spec(notation, preset, seed, size=size, styles=[style] if style else None)
        return draw_spec(spec, self._engine)

    @cached_property
    def _engine(self) -> Any:
        from guqin_kg.draw.engine import Engine

        return Engine(self.grammar)

    # -- recognition ---------------------------------------------------------------------------------------------

    @cached_property
    def _recognisers(self) -> dict[Any, Any]:
        return {}

    def recognize(
        self,
        images: Iterable[str | Path | np.ndarray] | str | Path | np.ndarray,
        *,
        top: int = 5,
        adapter: str | None = None,
        lexicon: Sequence[str] | None = None,
        sequence: bool = False,
        careful: bool = False,
        base: str | Path | None = None,
    ) -> list[dict[str, Any]]:
        """Images to candidates over the whole grammar (or ``lexicon``), one object per image, in order.

        Args:
            images: files, or grey uint8 arrays ``(height, width)``; one alone needs no list.
            top: how many candidates at most.
            adapter: an adapter of the shelf, or its folder.
            lexicon: the only readings that may be answered.
            sequence: neighbours help to decide.
            careful: see each image five times, five times as slow.
            base: another model folder than the bundled one.

        Raises:
            NotFoundError: no such model or adapter.
            UsageError: no image, ``top`` less than 1, or an adapter of another base.
        """
        from guqin_kg.recognise.recogniser import Recogniser

        rows = [images] if isinstance(images, str | Path) or _is_picture(images) else list(images)
        if not rows:
            raise UsageError("no image given", hint="kg.recognize(['crop.png'])")
        folder = Path(base).resolve() if base is not None else None
        key = (folder, adapter, tuple(lexicon) if lexicon is not None else None)
        if key not in self._recognisers:
            self._recognisers[key] = Recogniser.open(
                base=folder, adapter=adapter, lexicon=lexicon, grammar=self.grammar, workspace=self.workspace.root
            )
        found: list[dict[str, Any]] = self._recognisers[key].recognise(rows, top, sequence, careful)
        return found

    def similar(
        self,
        reading: str | None = None,
        *,
        by: str = "structure",
        image: str | Path | None = None,
        audio: str | Path | None = None,
        against: str | None = None,
        adapter: str | None = None,
        top: int = 10,
    ) -> list[dict[str, Any]]:
        """Nearest notations of the graph to a reading, a picture or a WAV file, best first.

        Args:
            reading: a reading (or give ``image`` or ``audio``).
            by: what of a reading is compared: ``structure``, ``published``, or by the contrastive model ``text``,
                ``image`` (its drawing), ``audio`` (its sound).
            image: a picture of one glyph.
            audio: a WAV file.
            against: what of the notations it is compared with: ``text``, ``image`` or ``audio``.
            adapter: contrastive adapter for a book.
            top: how many.

        Returns:
            Objects with ``other`` (IRI), ``name``, ``similarity``.
        """
        from guqin_kg.recognise.nearest import Search
        from guqin_kg.recognise.towers import Towers

        if (reading is not None) + (image is not None) + (audio is not None) != 1:
            raise UsageError(
                "search with one thing: a reading, an image or a sound", hint='kg.similar("…", by="image")'
            )
        if reading is not None and by in ("structure", "published"):
            return self.session.similar(reading, published=by == "published").rows[:top]
        search = Search(self.session, Towers.open(adapter=adapter, workspace=self.workspace.root))
        found = search.find(reading=reading, by=by, image=image, audio=audio, against=against, top=top)
        return [{"other": row.iri, "name": row.name, "similarity": row.similarity} for row in found]

    def explain_image(
        self, image: str | Path, *, lang: str = "zh", adapter: str | None = None, base: str | Path | None = None
    ) -> str:
        """Recognise one picture and explain what it is most likely to be; ``adapter`` and ``base`` as above.

        Raises:
            NotFoundError: the picture is no jianzi.
        """
        candidates = self.recognize([image], top=1, adapter=adapter, base=base)[0]["candidates"]
        if not candidates:
            raise NotFoundError("this picture is not recognised as a jianzi", code="not-a-jianzi")
        return self.explain(candidates[0]["reading"], lang=lang)


def _is_picture(images: Any) -> bool:
    """Whether this is one array that is a picture; a stack ``(n, height, width)`` is a sequence of them."""
    shape = getattr(images, "shape", None)
    return shape is not None and (len(shape) != 3 or shape[-1] in (1, 3, 4))

"""Nearest notations of the graph in the space of the contrastive towers: pictures, readings and sounds across.

A query is a picture, a reading or a sound; it is compared with the drawings, the readings or the sounds of all
notations of the graph. Their vectors are kept in the workspace: a vector is a function of the notation, the released
and own signs, and the model, so that an edit costs only the notations it adds.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from guqin_kg.errors import GuqinKGError, NotFoundError, UsageError
from guqin_kg.recognise.hear import load_sound, played, spectrum
from guqin_kg.recognise.images import fit, load_grey
from guqin_kg.recognise.towers import Towers

if TYPE_CHECKING:
    from guqin_kg.draw.engine import Engine
    from guqin_kg.query.session import GraphSession

Array = np.ndarray
_SECONDS = {"text": 0.0006, "image": 0.012, "audio": 0.09}
"""What one notation costs on one core, for the warning before long work."""
_DRAWN = 96
_CHUNK = 256


@dataclass(frozen=True)
class Nearest:
    """One notation found: its IRI, its name in the graph, cosine similarity to the query."""

    iri: str
    name: str
    similarity: float


class Search:
    """Similarity search over the notations of an opened graph.

    Args:
        session: the graph.
        towers: the model.
        say: told when something takes a while.
        progress: a progress bar on standard error for long work.
    """

    def __init__(
        self,
        session: GraphSession,
        towers: Towers,
        say: Callable[[str], None] | None = None,
        progress: bool = False,
    ) -> None:
        self.session, self.towers = session, towers
        self._say = say or (lambda text: None)
        self._progress = progress
        self._galleries: dict[str, tuple[list[tuple[str, str]], Array]] = {}

    def find(
        self,
        *,
        reading: str | None = None,
        by: str = "text",
        image: str | Path | Array | None = None,
        audio: str | Path | None = None,
        against: str | None = None,
        top: int = 10,
    ) -> list[Nearest]:
        """Search with one thing: a reading (as ``by`` says), a picture or a WAV file.

        Args:
            against: what of the notations it is compared with; default ``by`` for a reading, ``text`` for a file. A
                reading compared with its like is left out itself.
        """
        from guqin_kg.notation.iri import notation_iri
        from guqin_kg.notation.parse import parse

        if image is not None:
            return self.nearest(self.of_image(image), against or "text", top)
        if audio is not None:
            return self.nearest(self.of_audio(audio), against or "text", top)
        if reading is None:
            raise UsageError("nothing to search with", hint="a reading, a picture or a sound")
        side = against or by
        query = self.of_reading(reading, by)
        own = notation_iri(parse(reading, self.session.grammar), self.session.grammar) if side == by else None
        return self.nearest(query, side, top, leave_out=own)

    # -- queries -------------------------------------------------------------------------------------------------

    def of_reading(self, reading: str, by: str) -> Array:
        """Vector ``(space,)`` of a reading: as text, as its drawing, or as its sound.

        Raises:
            ReadingError: it cannot be parsed.
            DataError: it cannot be drawn, or does not sound by itself.
        """
        vectors = self._encoded(by, [reading])
        return self._one(by, vectors, reading)

    def of_image(self, image: str | Path | Array) -> Array:
        """Vector of a picture: a file, or uint8 grey ``(height, width)``.

        Raises:
            DataError: not a picture, or blank.
        """
        grey = image if isinstance(image, np.ndarray) else load_grey(image)
        window = fit(grey, self.towers.height, self.towers.width)
        if window.blank:
            raise NotFoundError(
                "there is no ink in this picture",
                code="blank",
                file=image if isinstance(image, str | Path) else None,
                hint="one glyph a picture, dark on light or light on dark",
            )
        vector: Array = self.towers.images(window.pixels[None])[0]
        return vector

    def of_audio(self, sound: str | Path) -> Array:
        """Vector of a WAV file.

        Raises:
            DataError: not such a file.
            UsageError: the model has no tower for sounds.
        """
        samples, rate = load_sound(Path(sound))
        vector: Array = self.towers.sounds(self._spectrum(samples, rate)[None])[0]
        return vector

    def nearest(self, query: Array, against: str, top: int = 10, leave_out: str | None = None) -> list[Nearest]:
        """The notations whose readings (``text``), drawings (``image``) or sounds (``audio``) are nearest.

        Args:
            query: vector of one of the ``of_…`` methods.
            against: what of the notations it is compared with.
            top: how many.
            leave_out: IRI of the notation asked about.
        """
        rows, vectors = self.gallery(against)
        scores = vectors.astype(np.float32) @ query
        order = np.argsort(-scores, kind="stable")[: top + 1]
        found = [Nearest(rows[at][0], rows[at][1], float(scores[at])) for at in order if rows[at][0] != leave_out]
        return found[:top]

    # -- the notations of the graph ------------------------------------------------------------------------------

    def gallery(self, against: str) -> tuple[list[tuple[str, str]], Array]:
        """(IRI, name) of the notations that have such a side, and their vectors ``(n, space)`` float16."""
        if against not in self.towers.modalities:
            raise UsageError(
                f"the model {self.towers.name!r} has no tower for {against}",
                code="no-tower",
                hint=f"it has: {', '.join(self.towers.modalities)}; another model: --model DIR",
            )
        if against not in self._galleries:
            self._galleries[against] = self._load(against)
        return self._galleries[against]

    def _load(self, against: str) -> tuple[list[tuple[str, str]], Array]:
        names: dict[str, str] = {}
        for row in self.session.query("notations-all", check=False).rows:
            iri, name = str(row["notation"]), str(row["name"])
            names[iri] = min(names.get(iri, name), name)
        known, nothing = self._kept(against)
        wanted = sorted(iri for iri in names if iri not in known and iri not in nothing)
        if wanted:
            seconds = len(wanted) * _SECONDS[against]
            if seconds > 5:
                self._say(f"embedding {len(wanted)} notations, about {seconds / 60:.1f} minutes; kept for next time")
            for start in self._bar(range(0, len(wanted), _CHUNK)):
                some = wanted[start : start + _CHUNK]
                for iri, vector in zip(some, self._encoded(against, [names[iri] for iri in some]), strict=True):
                    if vector is None:
                        nothing.add(iri)
                    else:
                        known[iri] = vector.astype(np.float16)
            self._keep(against, {i: v for i, v in known.items() if i in names}, nothing & names.keys())
        rows = sorted((iri, name) for iri, name in names.items() if iri in known)
        if not rows:
            raise NotFoundError("the graph holds no notation to compare with", hint="guqin build")
        return rows, np.stack([known[iri] for iri, _ in rows])

    def _bar(self, starts: range) -> Iterable[int]:
        if not self._progress or len(starts) < 8:
            return starts
        from tqdm import tqdm

        return iter(tqdm(starts, desc="embedding", unit="chunk", file=sys.stderr))

    def _file(self, against: str) -> Path:
        stamp = f"{self.session.inventory.content_hash}|{self.towers.key}|{against}"
        name = hashlib.blake2b(stamp.encode(), digest_size=12).hexdigest()
        return self.session.workspace.state / "embeddings" / f"{against}-{name}.npz"

    def _kept(self, against: str) -> tuple[dict[str, Array], set[str]]:
        """Vectors by IRI, and IRIs of what has no such side; empty where nothing was kept or the file is damaged."""
        path = self._file(against)
        try:
            with np.load(path, allow_pickle=False) as found:
                iris, vectors, nothing = found["iris"], found["vectors"], found["nothing"]
                if vectors.shape != (len(iris), int(self.towers.config["space"])):
                    return {}, set()
                return dict(zip(iris.tolist(), vectors, strict=True)), set(nothing.tolist())
        except (OSError, ValueError, KeyError, EOFError):
            return {}, set()
        except Exception as error:  # zipfile's own errors are no OSError
            if type(error).__module__ != "zipfile":
                raise
            return {}, set()

    def _keep(self, against: str, vectors: dict[str, Array], nothing: set[str]) -> None:
        path = self._file(against)
        part = path.with_suffix(f".{os.getpid()}.tmp")
        iris = sorted(vectors)
        stacked = np.stack([vectors[iri] for iri in iris]) if iris else np.zeros((0, int(self.towers.config["space"])))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.savez(file, iris=np.array(iris, str), vectors=stacked, nothing=np.array(sorted(nothing), str))
            part.replace(path)
            others = sorted(path.parent.glob(f"{against}-*.npz"), key=lambda p: p.stat().st_mtime)
            for old in others[:-4]:  # those of earlier signs and models
                old.unlink(missing_ok=True)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            self._say(f"the vectors cannot be kept ({error.strerror}); they will be worked out again next time")

    # -- encoding ------------------------------------------------------------------------------------------------

    def _one(self, by: str, vectors: Sequence[Array | None], reading: str) -> Array:
        found = vectors[0]
        if found is None:
            self._encode_one(by, reading)  # says why
            raise NotFoundError(f"{reading} has no {by}", code="no-side")
        return found

    def _encoded(self, by: str, readings: Sequence[str]) -> list[Array | None]:
        """Vectors of readings, None where one cannot be read, drawn or sounded."""
        from guqin_kg.notation.format import short_reading
        from guqin_kg.notation.parse import parse

        if by == "text":
            texts: list[str] = []
            for reading in readings:
                try:
                    texts.append(short_reading(parse(reading, self.session.grammar), self.session.grammar))
                except GuqinKGError:
                    texts.append("")
            vectors = self.towers.texts(texts)
            return [vector if text else None for text, vector in zip(texts, vectors, strict=True)]
        inputs: list[Array | None] = []
        for reading in readings:
            try:
                inputs.append(self._encode_one(by, reading))
            except GuqinKGError:
                inputs.append(None)
        there = [value for value in inputs if value is not None]
        if not there:
            return [None for _ in readings]
        encode = self.towers.images if by == "image" else self.towers.sounds
        found = iter(encode(np.stack(there)))
        return [None if value is None else next(found) for value in inputs]

    def _encode_one(self, by: str, reading: str) -> Array:
        """Window or spectrum of one reading.

        Raises:
            GuqinKGError: it cannot be read, drawn or sounded.
        """
        from guqin_kg.notation.parse import parse

        grammar = self.session.grammar
        notation = parse(reading, grammar)
        if by == "audio":
            return self._spectrum(*played(reading, grammar))
        if by == "text":
            return np.zeros(0)
        from guqin_kg.draw import draw_spec, sample_spec

        drawing = draw_spec(sample_spec(notation, "clean", 0, size=_DRAWN, frame="crop"), self._engine)
        return fit(drawing.pixels, self.towers.height, self.towers.width).pixels

    @cached_property
    def _engine(self) -> Engine:
        from guqin_kg.draw.engine import Engine

        return Engine(self.session.grammar)

    def _spectrum(self, samples: Array, rate: int) -> Array:
        return spectrum(samples, int(self.towers.config["frames"]), int(self.towers.config["bands"]), rate)


__all__ = ["Nearest", "Search"]

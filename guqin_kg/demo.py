"""The main job end to end, in one folder: build, validate, ask, compose, regenerate, edit, draw, sound, learn, explain.

Nothing here is prepared: each step calls what the commands call, and the readings shown are the examples that the
library queries carry in their headers.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg import resources
from guqin_kg.errors import DataError, GuqinKGError, MissingExtraError
from guqin_kg.kg import KnowledgeGraph

if TYPE_CHECKING:
    from guqin_kg.inventory import BaseNotation

Say = Callable[[str], None]

_BOOK = 72
"""Pictures of the invented book; every third is held out, the adapter is taught the others."""
_STEPS = 60
_HAND = 38
"""Seed of the invented book: the same slant, weight and tilt on all its pictures."""


class Demo:
    """The tour.

    Args:
        out: folder for everything it makes; an earlier tour's workspace there is replaced.
        say: where the story goes.
    """

    def __init__(self, out: Path, say: Say) -> None:
        self.out, self.say = out, say
        self.began = time.perf_counter()
        self.kg: KnowledgeGraph
        self.step = 0

    def run(self) -> None:
        """All steps, in order."""
        self.workspace()
        self.validate()
        self.ask()
        self.compose()
        self.regenerate()
        self.edit()
        self.draw()
        self.hear()
        self.learn()
        self.where()

    def head(self, title: str) -> None:
        """The next step's heading, with the time since the start."""
        self.step += 1
        self.say(f"\n[{time.perf_counter() - self.began:5.1f} s] {self.step}. {title}")

    # -- the graph -----------------------------------------------------------------------------------------------

    def workspace(self) -> None:
        """A workspace with an ontology of its own (so that it can be edited), built into the store."""
        from guqin_kg.graph.workspace import init_workspace

        self.head("A workspace with its own copy of the ontology; everything goes into the store")
        root = self.out / "workspace"
        shutil.rmtree(root, ignore_errors=True)
        init_workspace(root)
        shutil.copytree(resources.folder("ontology"), root / "ontology")
        settings = root / "guqin.toml"
        text = settings.read_text("utf-8")
        line = 'ontology = "ontology"'
        mended = re.sub(r"(?m)^#?\s*ontology\s*=.*$", line, text)
        settings.write_text(mended if line in mended else f"{line}\n{text}", "utf-8")
        self.kg = KnowledgeGraph.open(root)
        counts = self.kg.session.generation.manifest["counts"]
        self.say(f"   {counts['statements']:,} statements, {counts['base_notations']} base notations, "
                 f"{counts['notations']} compound notations; content {self.kg.content_hash}")  # fmt: skip

    def validate(self) -> None:
        """SHACL over the whole graph."""
        self.head("SHACL over the whole graph")
        report = self.kg.validate()
        found = report.to_json()
        kinds: dict[str, int] = {}
        for row in found["results"]:
            kinds[row["severity"]] = kinds.get(row["severity"], 0) + 1
        told = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())) or "nothing to remark"
        self.say(f"   conforms: {found['conforms']}; {found['focus_nodes']} nodes looked at; {told}")

    def example(self, query: str, parameter: str) -> str:
        """The example value that a library query carries in its header."""
        spec = self.kg.session.library.get(query)
        return str(next(p.example for p in spec.params if p.name == parameter))

    @property
    def readings(self) -> list[str]:
        """The readings shown: examples of the query library."""
        return [self.example("components-of", "notation"), self.example("sub-notes-of", "notation")]

    def ask(self) -> None:
        """Three library queries."""
        self.head("Questions of the query library")
        simple = self.readings[0]
        for name, params in (
            ("components-of", {"notation": simple}),
            ("one-part-apart", {"notation": simple}),
            ("positions-read-differently", {}),
        ):
            spec = self.kg.session.library.get(name)
            rows = self.kg.query(name, **params).to_json()["results"]["bindings"]
            self.say(f"   {spec.question['zh']} {spec.question['en']}")
            told = "; ".join(" ".join(cell["value"].split("/")[-1] for cell in row.values()) for row in rows[:3])
            self.say(f"     {len(rows)} rows: {told[:150]} …")

    def compose(self) -> None:
        """Count what the rules allow."""
        from itertools import islice

        from guqin_kg.notation.format import short_reading
        from guqin_kg.notation.lexicon import Lexicon

        self.head("Every notation the components and rules allow")
        lexicon = Lexicon(self.kg.grammar)
        shown = [short_reading(n, self.kg.grammar) for n in islice(lexicon, 0, 30_000, 5_000)]
        self.say(f"   {lexicon.count():,} well-formed notations, for example {' '.join(shown)}")

    def regenerate(self) -> None:
        """Both dialogue sets for the curated notations."""
        self.head("Dialogues, sets six and twenty-two, for the curated notations")
        report = self.kg.regenerate(langs=("zh", "en"), out=self.out)
        records = report["records"]
        self.say(f"   {records['total']:,} conversations in {report['seconds']:.1f} s")
        with (self.out / "dialogues" / "train.jsonl").open(encoding="utf-8") as file:
            sample = next(row for row in map(json.loads, file) if row["set"] == "six" and row["lang"] == "zh")
        for message in sample["messages"][:4]:
            self.say(f"     {message['role']}: {message['content']}")

    def edit(self) -> None:
        """Edit one fingering in Turtle; regenerate only what that touched."""
        self.head("Edit one fingering, regenerate only what looked at it")
        base = self._rare()
        path, before, after = self._reworded(base)
        path.write_text(after, "utf-8")
        self.say(f"   edited the definition of {base.name} in {path.relative_to(self.out)}")
        self.kg.build()
        report = self.kg.regenerate(langs=("zh", "en"), out=self.out)
        records = report["records"]
        self.say(f"   {records['rewritten']} conversations rewritten, {records['unchanged']:,} unchanged, "
                 f"{records['removed']} removed, in {report['seconds']:.1f} s")  # fmt: skip
        for row in report["reasons"][:3]:
            self.say(f"     because of {row['because']}: {row['records']}")
        path.write_text(before, "utf-8")

    def _rare(self) -> BaseNotation:
        """The technique that fewest curated notations use (at least two)."""
        rows = self.kg.sparql(
            "SELECT ?base (COUNT(?n) AS ?used) WHERE { ?n a gq:CompoundNotation ; gq:rightHandBasicNotation ?base }"
            " GROUP BY ?base HAVING (COUNT(?n) >= 2) ORDER BY ?used ?base LIMIT 1"
        ).to_json()["results"]["bindings"]
        return self.kg.inventory.by_iri[rows[0]["base"]["value"]]

    def _reworded(self, base: BaseNotation) -> tuple[Path, str, str]:
        """The Turtle file that defines ``base``, its text, and the text with one definition changed."""
        old = base.definitions["en"]
        for path in sorted((self.kg.workspace.root / "ontology").rglob("*.ttl")):
            text = path.read_text("utf-8")
            if f'"{old}"@en' in text and f"gqr:{base.id}\n" in text:
                return path, text, text.replace(f'"{old}"@en', f'"{old} (Edited by the demo.)"@en', 1)
        raise GuqinKGError(f"no definition of {base.id} in the ontology", hint="was its Turtle rewritten?")

    # -- pictures and sound --------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Glyphs with the boxes of their components on one sheet."""
        from PIL import Image, ImageDraw

        self.head("Drawn glyphs with exact component boxes")
        readings = [*self.readings, *self._curated(6)]
        pictures = [self.kg.draw(reading, size=200, style=None) for reading in readings]
        sheet = Image.new("RGB", (4 * 210, 2 * 210), "white")
        pen = ImageDraw.Draw(sheet)
        for at, drawing in enumerate(pictures):
            x, y = at % 4 * 210 + 5, at // 4 * 210 + 5
            sheet.paste(Image.fromarray(drawing.pixels), (x, y))
            for bx, by, bw, bh in drawing.boxes:
                pen.rectangle((x + bx, y + by, x + bx + bw, y + by + bh), outline=(200, 60, 40))
        path = self.out / "glyphs.png"
        sheet.save(path)
        self.say(f"   {' '.join(readings)} → {path.name}")

    def _curated(self, count: int) -> list[str]:
        """Readings from all over the curated set."""
        rows = self.kg.query("notations-all").to_json()["results"]["bindings"]
        names = sorted(cell["value"] for row in rows for key, cell in row.items() if cell["type"] == "literal")
        return names[:: max(1, len(names) // count)][:count]

    def hear(self) -> None:
        """One phrase as WAV."""
        from guqin_kg.sound.wav import write_wav

        self.head("Heard: the graph's own pitches, plucked")
        path = self.out / "phrase.wav"
        write_wav(path, self.kg.sound_of(*self.readings))
        note = self.kg.pitch(self.readings[0]).to_json()
        self.say(f"   {self.readings[0]}: {note.get('note')}, {note.get('hz')} Hz → {path.name}")

    # -- learning ------------------------------------------------------------------------------------------------

    def learn(self) -> None:
        """A short LoRA fine-tuning of the bundled base on a badly scanned book, then recognise and explain."""
        self.head("LoRA on the bundled base: a badly scanned book; then recognise one glyph and explain it")
        try:
            import torch  # noqa: F401
            import transformers  # noqa: F401

            from training import config as configs
            from training.recipes import adapt
        except ImportError:
            self.say(f"   left out: {MissingExtraError('the training part', 'train')}")
            return
        folder, held = self._book()
        config = configs.load("adapt", steps=_STEPS, drawn_images=256, validation_images=64, shard=128)
        adapter = self.kg.workspace.root / "adapters" / "demo-hand"
        base = resources.folder("models") / "recogniser"
        about = adapt.run(config, base, folder / "crops.jsonl", "demo-hand", adapter, quiet=True, command="guqin demo")
        self.say(f"   adapter demo-hand: {about['crops']} pictures, {about['steps']} steps, {about['minutes']} minutes")
        for name, key in (("bundled base", None), ("with demo-hand", "demo-hand")):
            rows = self.kg.recognize([folder / file for file, _ in held], top=1, adapter=key)
            right = sum(
                bool(row["candidates"]) and row["candidates"][0]["reading"] == reading
                for row, (_, reading) in zip(rows, held, strict=True)
            )
            self.say(f"   {name}: {right} of {len(held)} pictures it was not shown are read right")
        row = self.kg.recognize([folder / held[0][0]], top=1, adapter="demo-hand")[0]
        if row["candidates"]:
            best = row["candidates"][0]
            self.say(f"   {held[0][0]} is {best['reading']} ({best['probability']:.2f})")
            self.say(f"   {self.kg.explain(best['reading'])}")

    def _book(self) -> tuple[Path, list[tuple[str, str]]]:
        """Pictures of an invented book with their readings: some to learn from, some held out."""
        from PIL import Image

        folder = self.out / "book"
        folder.mkdir(parents=True, exist_ok=True)
        rows: list[dict[str, Any]] = []
        for at, reading in enumerate([*self.readings, *self._curated(2 * _BOOK)]):
            name = f"glyph-{at:03d}.png"
            try:
                drawing = self.kg.draw(reading, size=64, preset="photo", seed=_HAND)
            except DataError:  # no source says how this word is written
                continue
            Image.fromarray(drawing.pixels).save(folder / name)
            rows.append({"file": name, "reading": reading})
            if len(rows) == _BOOK:
                break
        held, taught = rows[::3], [row for at, row in enumerate(rows) if at % 3]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in taught)
        (folder / "crops.jsonl").write_text(lines, "utf-8")
        return folder, [(row["file"], row["reading"]) for row in held]

    def where(self) -> None:
        """Say where everything lies."""
        self.head("Where to look")
        for name, what in (
            ("workspace/", "the graph: Turtle in ontology/ and graph/, the store in .guqin/"),
            ("dialogues/train.jsonl", "conversations, one a line, with the query, template and sources of each answer"),
            ("glyphs.png", "drawn glyphs with the box of each component"),
            ("phrase.wav", "what they sound"),
            ("book/", "the badly scanned book the adapter was taught from"),
        ):
            self.say(f"   {self.out / name}  {what}")
        self.say(f"\ndone in {time.perf_counter() - self.began:.0f} s")
        self.say(f"next: guqin explain {self.readings[0]} · guqin query --list · README.md · docs/one-page.md")


def run(out: Path, say: Say) -> None:
    """The tour, into the folder ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    Demo(out.resolve(), say).run()

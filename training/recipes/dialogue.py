"""Fine-tune a vision-language model on generated dialogues, and measure what it has right.

One process:   ``guqin train dialogue --config tiny --out DIR``
Several:       ``torchrun --nproc_per_node 2 -m training.recipes.dialogue --config ours --out DIR``
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import DataError, GuqinKGError, NotFoundError, UsageError
from guqin_kg.query.session import GraphSession
from training.dialogue.config import BUNDLED, DialogueTraining

if TYPE_CHECKING:
    from guqin_kg.model import Notation
    from guqin_kg.notation.grammar import Grammar
    from training.dialogue.pictures import Pictures
    from training.dialogue.records import Conversation


def dialogue(
    config: DialogueTraining,
    out: Path,
    session: GraphSession,
    *,
    data: Path | None = None,
    cache: Path | None = None,
    quiet: bool = False,
    trust_remote_code: bool = False,
    merge: bool = False,
    command: str = "",
) -> dict[str, Any]:
    """Generate or read the dialogues, train, measure, save.

    Args:
        config: the run.
        out: model folder; log and checkpoints beside the weights. A run that was stopped goes on.
        session: the opened graph: source of the dialogues and judge of the answers.
        data: folder of ``guqin regenerate``, instead of generating what the configuration says.
        cache: where generated dialogues and drawn pictures are kept (default ``out/cache``).
        quiet: no progress.
        trust_remote_code: run code that comes with a hub base; only when the user asks.
        merge: write a whole model instead of an adapter.
        command: for the card.

    Returns:
        The figures, also written to ``out/training.json``.
    """
    _offline(config.base)
    from training import output

    with output.only_run(out):
        return _run(config, out, session, data, cache, quiet, trust_remote_code, merge, command)


def _run(
    config: DialogueTraining, out: Path, session: GraphSession, data: Path | None, cache: Path | None, quiet: bool,
    trust_remote_code: bool, merge: bool, command: str,
) -> dict[str, Any]:  # fmt: skip
    import torch

    from training import processes
    from training.dialogue import loop, records, run, sharded, vlm
    from training.dialogue.encode import Encoder
    from training.dialogue.evaluate import evaluate
    from training.dialogue.grade import Grader, other_words
    from training.dialogue.pictures import Pictures
    from training.dialogue.tokenizer import alphabet

    torch.set_num_threads(config.threads)
    rank, count = processes.world()
    if config.batch < count:
        raise UsageError(f"a batch of {config.batch} cannot be shared by {count} processes", hint=f"--batch {count}")
    place = cache or out / "cache"
    if rank > 0:
        processes.wait()  # the first process generates, the others read what it wrote
    if data is not None:
        found = records.read_folder(data, config.dialogues, config.lang)
    else:
        found = records.generate(config, session, place)
        if config.curated_copies and config.scope == "lexicon":
            both = config.model_copy(update={"scope": "curated", "notations": None})
            found["train"] += records.generate(both, session, place)["train"] * config.curated_copies
        if config.rules_notations:
            more = config.model_copy(update={"scope": "rules", "notations": config.rules_notations})
            found["train"] += records.generate(more, session, place)["train"]
        if not found["train"]:
            raise DataError("there is no conversation to train on", code="empty-data", hint="raise notations")
    if rank == 0:
        processes.wait()
    grammar = session.grammar
    pictures = Pictures(place, grammar, config.presets, config.picture_size, config.images_each, config.seed)
    undrawn = seen_only(found, pictures)
    if config.base:
        model, processor = vlm.load(config.base, trust_remote_code=trust_remote_code)
        if config.tower is not None:
            vlm.see_with(model, config.tower)
        if config.lora is not None and not hasattr(model, "peft_config"):
            named = config.base if config.base == BUNDLED else vlm.place_of(config.base)
            model = vlm.adapt(model, config.lora, named, config.seed)
    else:
        texts = [t.question + t.answer for part in found.values() for c in part for t in c.turns]
        texts += [text for texts_ in other_words(config.lang).values() for text in texts_]
        model, processor = vlm.build(config.shape, alphabet(texts, grammar.inventory), config.seed)
    model = model.to(processes.device())
    encoder = Encoder(processor, config.max_tokens)
    figures: dict[str, Any] = {
        "train_notations": len({c.iri for c in found["train"]}),
        "held_out_notations": len({c.iri for c in found["val"]}),
    }
    figures["left_out_without_written_form"] = undrawn
    sampler = run.Sampler(config, found["train"], pictures)
    state = None
    if sharded.wanted():
        log, state = run.train_sharded(model, encoder, config, sampler, out, quiet)
    else:
        log = run.train_dialogue(model, encoder, config, sampler, out, quiet)
    last = log[-1] if log else loop.last_row(out)  # a run that had ended before keeps its figures
    figures |= {"steps": last.get("step"), "loss": last.get("loss"), "minutes": last.get("minutes")}
    if rank > 0:
        return figures
    _save(model, processor, out, config, figures, session.content_hash, command, merge, state=state)
    if state is None and config.evaluate_notations and found["val"]:
        asked, figures["left_out_written_like_others"] = telling(
            held_out(config, session, place, found["val"]), grammar
        )
        grader = Grader(grammar, config.lang, [*found["train"], *asked])
        figures["evaluation"] = evaluate(
            model, encoder, grader, spread(asked, config.evaluate_notations), pictures,
            tokens=config.answer_tokens, other=20 if config.other_share else 0, seed=config.seed + 1,
        )  # fmt: skip
    if config.published:
        figures["published"] = config.published.model_dump()
    _save(model, processor, out, config, figures, session.content_hash, command, merge, weights=False)
    return figures


def seen_only(found: dict[str, list[Conversation]], pictures: Pictures) -> int:
    """Leave out conversations without a picture (no file, and a part has no written form); returns how many.

    Raises:
        DataError: nothing is left.
    """
    before = sum(map(len, found.values()))
    for split, rows in found.items():
        found[split] = [c for c in rows if c.image is not None or pictures.drawable(c.reading)]
    if not found["train"]:
        raise DataError("no notation of these dialogues can be drawn", code="empty-data", hint="give images, or forms")
    return before - sum(map(len, found.values()))


def telling(held: list[Conversation], grammar: Grammar) -> tuple[list[Conversation], int]:
    """Those whose drawn picture tells which notation it is, and how many are written as another notation is.

    A file of the user's is asked about whatever it shows: his label says what is meant.
    """
    from guqin_kg.draw import Engine
    from guqin_kg.draw.homographs import Homographs
    from guqin_kg.notation.parse import parse

    homographs = Homographs(Engine(grammar))
    kept = [c for c in held if c.image is not None or not homographs.of(parse(c.reading, grammar))]
    return kept, len(held) - len(kept)


def held_out(
    config: DialogueTraining, session: GraphSession, cache: Path, val: list[Conversation]
) -> list[Conversation]:
    """The held-out notations with all 22 questions, so that runs on six and on 22 turns are asked the same."""
    from training.dialogue import records

    if config.dialogues == "twenty-two":
        return val
    wanted = {c.iri for c in val}
    full = records.generate(config, session, cache, which="twenty-two")["val"]
    return [c for c in full if c.iri in wanted] or val


def spread(held: list[Conversation], count: int) -> list[Conversation]:
    """``count`` of the held-out conversations, from all over the lexicon's order."""
    step = max(1, len(held) / count)
    return [held[int(at * step)] for at in range(min(count, len(held)))]


def measure(
    model_folder: str,
    session: GraphSession,
    *,
    data: Path | None = None,
    crops: Path | None = None,
    notations: int = 50,
    scope: str = "curated",
    lang: str = "zh",
    preset: str = "clean",
    seed: int = 1,
    others: int = 0,
    cache: Path,
    trust_remote_code: bool = False,
) -> dict[str, Any]:
    """Ask a trained model about held-out notations, and about ``others`` pictures that are no jianzi.

    Args:
        model_folder: a folder, an adapter's folder, ``bundled``, or a hub id.
        session: the opened graph: source of the questions and judge of the answers.
        data: dialogues of ``guqin regenerate`` to ask about.
        crops: labelled crops to ask about (JSON lines), those of held-out notations; else pictures are drawn.
        notations: how many to ask about.
        scope, lang, preset, seed: which notations are drawn, in what words they are asked about, and how they look.
        others: how many pictures that are no jianzi.
        cache: folder for what is generated and drawn.
        trust_remote_code: run code that comes with a hub model; only when the user asks.

    Raises:
        NotFoundError: no model, or no held-out notation in the data whose picture tells which it is.
    """
    _offline(model_folder)
    from training.dialogue import records, vlm
    from training.dialogue.encode import Encoder
    from training.dialogue.evaluate import evaluate
    from training.dialogue.grade import Grader
    from training.dialogue.pictures import Pictures

    config = DialogueTraining.model_validate(
        {"scope": scope, "lang": lang, "notations": None if scope == "curated" else notations * 6, "seed": seed}
    )
    found = records.read_folder(data, "twenty-two", lang) if data else records.generate(config, session, cache)
    if crops:
        found["val"] = records.held_out_pictures(config, session, labelled(crops, session))
    if not found["val"]:
        hint = "`guqin regenerate --set twenty-two`"
        if crops:
            hint = "one notation in five is held out, by its IRI: give crops of more notations"
        what = "these crops" if crops else "these dialogues"
        raise NotFoundError(f"no held-out notation in {what}", hint=hint)
    model, processor = vlm.load(model_folder, trust_remote_code=trust_remote_code)
    grader = Grader(session.grammar, lang, [*found["train"], *found["val"]])
    pictures = Pictures(cache, session.grammar, (preset,), config.picture_size, 1, seed)
    seen_only(found, pictures)
    asked, alike = telling(found["val"], session.grammar)
    if not asked:
        raise NotFoundError(
            "every held-out notation here is written as another one is", hint="ask about more notations"
        )
    held = spread(asked, notations)
    report = evaluate(model, Encoder(processor), grader, held, pictures, other=others, seed=seed)
    return {"model": model_folder, "left_out_written_like_others": alike, **report}


def labelled(crops: Path, session: GraphSession) -> list[tuple[Path, Notation]]:
    """Picture and notation of every usable row of a file of labelled crops.

    Raises:
        NotFoundError: no such file.
        DataError: no usable row.
    """
    from guqin_kg.notation.parse import parse
    from guqin_kg.recognise.vocabulary import Vocabulary
    from guqin_kg.recognise.words import Words
    from training.recogniser.crops import read_crops

    words = Words(session.grammar)
    rows = read_crops(crops, words, Vocabulary.of(words.bases())).rows
    return [(row.file, parse(row.reading, session.grammar)) for row in rows]


def _offline(base: str | None) -> None:
    """Without a hub id nothing may reach the network."""
    if base is None or base == "bundled" or Path(base).expanduser().exists():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")


def _save(
    model: Any, processor: Any, out: Path, config: DialogueTraining, figures: dict[str, Any], graph: str, command: str,
    merge: bool, weights: bool = True, state: Any = None,
) -> None:  # fmt: skip
    from training import output
    from training.dialogue import card, shelf, vlm

    with output.writing(out, "write the model"):
        if weights:
            vlm.save(vlm.merged(model) if merge else model, processor, out, state)
            if config.lora is not None and config.base and not merge:
                place, revision = vlm.place_of(config.base), shelf.revision_of(model)
                shelf.describe(out, config.base, place, processor, graph, command, revision)
        about = {"config": config.model_dump(mode="json"), "graph": graph, "command": command, "figures": figures}
        about |= {"recogniser": tower} if (tower := vlm.tower_of(config)) else {}
        (out / "training.json").write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", "utf-8")
        (out / "README.md").write_text(card.write(about), "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Command line for torchrun and accelerate."""
    parser = argparse.ArgumentParser(prog="python -m training.recipes.dialogue", description=__doc__)
    parser.add_argument("--config", default="tiny")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--batch", type=int, help="of the whole run; at least the number of processes")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--notations", type=int)
    parser.add_argument("--log-every", type=int)
    given = parser.parse_args(arguments)
    from guqin_kg.query.session import open_graph
    from training import processes
    from training.dialogue.config import load

    try:
        config = load(
            given.config, base=given.base, batch=given.batch, steps=given.steps, notations=given.notations,
            log_every=given.log_every,
        )  # fmt: skip
        figures = dialogue(
            config, given.out, open_graph(given.workspace), data=given.data, cache=given.cache,
            command=processes.typed("training.recipes.dialogue", given.config, given.out),
        )  # fmt: skip
    except GuqinKGError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    sys.stdout.write(json.dumps(figures, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

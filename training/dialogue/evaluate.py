"""Ask a model about held-out notations and count what it has right; the blank picture shows what guessing gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from training.dialogue.encode import IGNORED, Encoder, answers
from training.dialogue.grade import Grader, Question, Tally
from training.dialogue.pictures import NoJianzi, Pictures, blank, from_file
from training.dialogue.records import Conversation

_SHOWN = 20
_LOSSES = 16
"""About how many conversations the loss is taken over: it costs more than the answers."""


def picture_of(conversation: Conversation, pictures: Pictures, number: int = 0) -> Image.Image:
    """The user's own picture of a notation, or one that is drawn.

    Raises:
        DataError: the user's file is no readable image.
    """
    if conversation.image is not None:
        return from_file(conversation.image, pictures.size)
    return pictures.of(conversation.reading, number)


def evaluate(
    model: Any,
    encoder: Encoder,
    grader: Grader,
    held: Sequence[Conversation],
    pictures: Pictures,
    *,
    tokens: int = 128,
    other: int = 0,
    seed: int = 1,
    control: bool = True,
) -> dict[str, Any]:
    """Facts right about ``held`` notations, each asked one question at a time with its picture.

    Args:
        model: answers.
        encoder: of the model.
        grader: judges.
        held: conversations of notations that were never trained on.
        pictures: where drawn pictures come from.
        tokens: longest answer.
        other: pictures that are no jianzi to ask about as well.
        seed: of those.
        control: ask the readings again with a blank picture.
    """
    questions: list[Question] = [q for conversation in held for q in grader.questions(conversation)]
    pairs = [(picture_of(q.conversation, pictures), q.turn.question) for q in questions if q.conversation]
    if other:
        more = grader.other_questions(other)
        draw = NoJianzi(pictures.grammar, pictures.size, seed)
        questions += more
        pairs += [(draw(number), q.turn.question) for number, q in enumerate(more)]
    said = answers(model, encoder, pairs, tokens=tokens)
    tally = Tally()
    for question, answer in zip(questions, said, strict=True):
        marks = grader.grade(question, answer)
        tally.add(marks)
        if not all(marks.values()) and len(tally.wrong) < _SHOWN:
            reading = question.conversation.reading if question.conversation else ""
            tally.wrong.append({"reading": reading, "question": question.turn.question, "answer": answer})
    report: dict[str, Any] = {"notations": len(held), "facts": tally.to_json(), "wrong": tally.wrong}
    report["loss"] = losses(model, encoder, held[:: max(1, len(held) // _LOSSES)], pictures)
    if control:
        asked = [q for q in questions if q.facts[0] == "whole"]
        empty = blank(pictures.size)
        guessed = answers(model, encoder, [(empty, q.turn.question) for q in asked], tokens=tokens)
        guesses = Tally()
        for question, answer in zip(asked, guessed, strict=True):
            guesses.add(grader.grade(question, answer))
        report["blank_picture"] = guesses.to_json()
    return report


def losses(model: Any, encoder: Encoder, held: Sequence[Conversation], pictures: Pictures) -> dict[str, float]:
    """Mean cross entropy of an answer token of held-out conversations: the number that published runs report.

    Returns:
        ``whole_conversations``, all turns in their order; ``one_turn_alone``, each turn after the picture alone.
    """
    model.eval()
    sums = {"whole_conversations": [0.0, 0], "one_turn_alone": [0.0, 0]}
    with torch.no_grad():
        for conversation in held:
            image = picture_of(conversation, pictures)
            parts = [("whole_conversations", [encoder.sample(image, conversation.turns)])]
            parts.append(("one_turn_alone", [encoder.sample(image, [turn]) for turn in conversation.turns]))
            for name, rows in parts:
                batch = {key: value.to(model.device) for key, value in encoder.collate(rows).items()}
                count = int((batch["labels"] != IGNORED).sum())
                sums[name][0] += float(model(**batch).loss) * count
                sums[name][1] += count
    return {name: round(total / max(1, count), 4) for name, (total, count) in sums.items()}


def text(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f"{report['notations']} held-out notations"]
    if alike := report.get("left_out_written_like_others"):
        lines[0] += f" ({alike} that are written as others are were left out)"
    for title, key in (("", "facts"), (" with a blank picture", "blank_picture")):
        rows = report.get(key) or {}
        width = max(map(len, rows), default=0)
        lines += [
            f"{fact:<{width}}  {row['share']:.3f}  {row['right']}/{row['asked']}{title}" for fact, row in rows.items()
        ]
    lines += [f"{loss:.4f}  loss, {name.replace('_', ' ')}" for name, loss in report.get("loss", {}).items()]
    return "\n".join(lines)


def write(report: dict[str, Any], out: Path) -> None:
    """Write ``evaluation.json``."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")

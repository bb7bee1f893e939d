"""Wording by a language model: an OpenAI-compatible endpoint or a local folder, only when the user gives one."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from guqin_kg import resources
from guqin_kg.errors import DataError, MissingExtraError, NotFoundError, UsageError

TIMEOUT = 120
_MOST = 2_000_000
_TOKENS = 600
_LONGEST = 200
_EXPECTED = "give a text model for chat in transformers' form, or --llm none"
_PICTURES = "models that see answer about pictures: `guqin evaluate dialogue --model DIR` (docs/dialogue-model.md)"
KEY = "GUQIN_LLM_KEY"
"""Environment variable with the key of an endpoint that wants one."""


def prompt(question: str, statements: Sequence[str], lang: str) -> str:
    """The task, the numbered statements and the question."""
    text = (resources.folder("templates") / "ask" / f"prompt.{lang}.txt").read_text("utf-8")
    listed = "\n".join(f"[{number}] {statement}" for number, statement in enumerate(statements, 1))
    return text.replace("{statements}", listed).replace("{question}", question)


def complete(llm: str, question: str, statements: Sequence[str], lang: str, model: str | None = None) -> str:
    """The model's answer.

    Args:
        llm: URL (``http://localhost:11434/v1``) or folder.
        question: what was asked.
        statements: what may be said.
        lang: of the task.
        model: name at the endpoint (default: the first it offers).

    Returns:
        What it says.

    Raises:
        UsageError: neither a URL nor a folder.
        NotFoundError: no model in the folder.
        DataError: no answer, none that is understood, or a model that is not for text.
    """
    text = prompt(question, statements, lang)
    if urlsplit(llm).scheme in ("http", "https"):
        return _remote(llm, text, model)
    if Path(llm).expanduser().is_dir():
        return _local(Path(llm).expanduser(), text)
    raise UsageError(f"{llm!r} is neither a URL nor a folder", hint="--llm none, --llm http://localhost:11434/v1, …")


def _remote(url: str, text: str, model: str | None) -> str:
    root = url.rstrip("/").removesuffix("/chat/completions")
    if model is None:
        offered = _call(f"{root}/models", None)
        try:
            model = str(offered["data"][0]["id"])
        except (KeyError, IndexError, TypeError):
            raise DataError(f"{root} offers no model", hint="name one: --llm-model NAME") from None
    body = {"model": model, "temperature": 0, "messages": [{"role": "user", "content": text}]}
    found = _call(f"{root}/chat/completions", body)
    try:
        return str(found["choices"][0]["message"]["content"]).strip()
    except (KeyError, IndexError, TypeError):
        raise DataError(f"{root} gives no answer in the OpenAI form", code="llm") from None


def _call(url: str, body: dict[str, Any] | None) -> Any:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key := os.environ.get(KEY):
        headers["Authorization"] = f"Bearer {key}"
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 — http(s) alone gets here
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            raw = answer.read(_MOST + 1)
    except urllib.error.HTTPError as error:
        raise DataError(f"{url} answers {error.code} {error.reason}", code="llm", hint=f"a key goes in {KEY}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(
            f"cannot reach {url}: {reason}", code="llm", hint="is it running? --llm none answers without it"
        ) from None
    if len(raw) > _MOST:
        raise DataError(f"{url} answers with more than {_MOST // 10**6} MB", code="llm")
    try:
        return json.loads(raw)
    except ValueError:
        raise DataError(
            f"{url} does not answer with JSON", code="llm", hint="give the root, as http://host/v1"
        ) from None


def _local(folder: Path, text: str) -> str:
    try:
        import transformers
    except ImportError:
        raise MissingExtraError("transformers", "train") from None
    _refuse_pictures(folder)
    with _quiet(transformers.logging):
        try:
            return _generated(folder, text)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise DataError(
                f"cannot use the model in {folder}: {_first_sentence(error)}", code="llm", hint=_EXPECTED
            ) from None


def _generated(folder: Path, text: str) -> str:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    if tokenizer.chat_template:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
        )
    given = tokenizer(text, return_tensors="pt", add_special_tokens=not tokenizer.chat_template)
    made = model.generate(**given, max_new_tokens=_TOKENS, do_sample=False)
    said: str = tokenizer.decode(made[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
    return said.strip()


def _refuse_pictures(folder: Path) -> None:
    """A folder that holds no model, or one that is made to be shown pictures, is said to be so before it is loaded.

    Raises:
        NotFoundError: no model there.
        DataError: no text model, or no configuration that can be read.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise NotFoundError(f"no model in {folder}", hint="a model folder has config.json and *.safetensors")
    try:
        config = json.loads(file.read_bytes())
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise DataError("not a JSON object", code="llm", hint=_EXPECTED, file=file)
    kinds = [str(name) for name in config.get("architectures") or ()]
    if "vision_config" in config or any(name.endswith("ForConditionalGeneration") for name in kinds):
        kind = f" ({', '.join(kinds)})" if kinds else ""
        raise DataError(f"{folder} holds no text model for chat{kind}", code="llm", hint=f"{_EXPECTED}; {_PICTURES}")


def _first_sentence(error: Exception) -> str:
    """What an error says first: transformers lists every class of model it knows behind it."""
    said = " ".join(str(error).split())
    first = re.split(r"(?<=[.!?;]) ", said, maxsplit=1)[0] or type(error).__name__
    return first if len(first) <= _LONGEST else first[: _LONGEST - 1] + "…"


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """Warnings and progress bars of transformers kept from the user, for whom they hold nothing to do."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()

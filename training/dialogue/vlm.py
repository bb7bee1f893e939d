"""The model: a small vision-language model from a configuration, or one of the user's through the same classes.

Both are ``AutoModelForImageTextToText`` with an ``AutoProcessor``; the bundled one is LLaVA's class with the
recogniser's encoder as its vision tower, a small decoder of Qwen2's form and a character tokenizer.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from guqin_kg import resources
from guqin_kg.errors import DataError, MissingExtraError, NotFoundError
from guqin_kg.recognise.weights import file_hash
from training import hub
from training import lora as lora_of
from training.dialogue import shelf, tower
from training.dialogue import tokenizer as characters
from training.dialogue.config import BUNDLED, DialogueLora, DialogueTraining, Shape
from training.quiet import no_bars

ADAPTER = "adapter_config.json"


def build(shape: Shape, alphabet: Sequence[str], seed: int) -> tuple[Any, Any]:
    """A new model and its processor: the recogniser's encoder as it is, the rest fixed by ``seed``."""
    from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor, Qwen2Config

    vision, weights = tower.from_recogniser(_recogniser(shape.recogniser), shape.merge)
    torch.manual_seed(seed)
    words = characters.build(alphabet)
    processor = LlavaProcessor(
        image_processor=tower.GlyphImageProcessor(vision.height, vision.width),
        tokenizer=words,
        patch_size=vision.patch,
        vision_feature_select_strategy="full",
        chat_template=characters.CHAT,
        num_additional_image_tokens=0,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=Qwen2Config(
            vocab_size=len(words),
            hidden_size=shape.text_hidden,
            intermediate_size=shape.text_feed_forward,
            num_hidden_layers=shape.text_layers,
            num_attention_heads=shape.text_heads,
            num_key_value_heads=shape.text_heads,
            max_position_embeddings=4096,
            initializer_range=shape.initializer_range,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        ),
        image_token_index=words.convert_tokens_to_ids(characters.IMAGE),
        image_seq_length=vision.tokens,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    model: Any = LlavaForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(weights)
    model.generation_config.eos_token_id = words.eos_token_id
    model.generation_config.pad_token_id = words.pad_token_id
    return model, processor


def see_with(model: Any, recogniser: str) -> None:
    """Give the model's tower the encoder of a (later) recogniser; what speaks has to learn to understand it.

    Raises:
        DataError: no recogniser there, the tower is not ours, or its shape is another.
    """
    tower_now = vision_tower(model)
    folder = _recogniser(recogniser)
    if not isinstance(tower_now, tower.GlyphTower):
        raise DataError("only our own tower can take a recogniser's encoder", hint="leave `tower` out for this base")
    vision, weights = tower.from_recogniser(folder, tower_now.config.merge)
    same = ("height", "width", "channels", "blocks", "hidden", "heads", "feed_forward", "encoder_layers")
    other = [name for name in same if getattr(vision, name) != getattr(tower_now.config, name)]
    if other:
        raise DataError(f"its encoder is of another shape than the tower: {', '.join(other)}", file=folder)
    tower_now.load_state_dict(weights)


def tower_of(config: DialogueTraining) -> str | None:
    """Hash of the recogniser whose encoder a run of ``config`` takes for its tower; None: the base keeps its own."""
    name = config.tower if config.base else config.shape.recogniser
    weights = _recogniser(name) / "model.safetensors" if name else None
    return file_hash(weights) if weights is not None and weights.is_file() else None


def _recogniser(name: str) -> Path:
    return resources.folder("models") / "recogniser" if name == BUNDLED else Path(name).expanduser()


def place_of(base: str) -> str:
    """What ``from_pretrained`` is given for ``base``: a folder, a hub id, or the bundled model's folder.

    Raises:
        NotFoundError: the bundled model is not in this installation, or a path that is no model folder.
    """
    if base == BUNDLED:
        folder = resources.folder("models") / "dialogue"
        if not (folder / "config.json").is_file():
            raise NotFoundError(
                "this installation carries no dialogue model",
                code="no-bundled-model",
                hint="guqin train dialogue --config ours --out models/dialogue makes one; or give --base FOLDER|HUB-ID",
            )
        return str(folder)
    path = Path(base)
    if path.is_dir() or base.startswith((".", "/", "~")):
        path = path.expanduser()
        if not ((path / "config.json").is_file() or (path / ADAPTER).is_file()):
            raise NotFoundError(f"no model in {base}", hint="a model folder has config.json and *.safetensors")
        return str(path)
    return base


def load(base: str, *, trust_remote_code: bool = False) -> tuple[Any, Any]:
    """A model and its processor: a folder, an adapter's folder (its base is loaded first), or a hub id.

    Weights are read from safetensors only. Only a hub id reaches the network.

    Raises:
        NotFoundError: nothing there.
        UsageError: the adapter was trained over another base or vocabulary.
        DataError: it is no image-text-to-text model, or damaged.
        MissingExtraError: its processor needs torchvision (those with a video slot do).
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor

    no_bars()
    place = place_of(base)
    adapter = Path(place) / ADAPTER
    inner = place
    if adapter.is_file():
        inner = place_of(str(json.loads(adapter.read_text("utf-8")).get("base_model_name_or_path") or ""))
    hub.prepare(inner)
    common: dict[str, Any] = {"local_files_only": Path(inner).is_dir(), "trust_remote_code": trust_remote_code}
    try:
        processor = AutoProcessor.from_pretrained(inner, **common)
        model: Any = AutoModelForImageTextToText.from_pretrained(
            inner, use_safetensors=True, dtype=torch.float32, **common
        )
        if adapter.is_file():
            shelf.check(Path(place), inner, processor, shelf.revision_of(model))
            model = lora_of.loaded(model, place)
    except ImportError as error:
        what = "torchvision" if "torchvision" in str(error).lower() else str(error).strip().splitlines()[0]
        raise MissingExtraError(f"this model needs {what}, which", "train") from None
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = "image-text-to-text models of transformers are taken, with safetensors weights"
        if "trust_remote_code" in str(error):
            hint = "it runs code that comes with the model: --trust-remote-code allows that, if you trust its authors"
        raise DataError(f"cannot load {base}: {first}", code="bad-model", hint=hint) from None
    return model, processor


def adapt(model: Any, lora: DialogueLora, base: str, seed: int) -> Any:
    """``model`` with adapters on the language part, fixed by ``seed``; only they are trained.

    Raises:
        DataError: no layer has a name that the configuration's pattern fits.
    """
    try:
        from peft import LoraConfig
    except ImportError:
        raise MissingExtraError("peft", "train") from None
    settings = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=lora.target_modules
    )
    torch.manual_seed(seed)
    try:
        adapted = lora_of.wrapped(model, settings)
    except ValueError as error:
        raise DataError(
            f"the adapter fits no layer of this model: {str(error).splitlines()[0]}",
            hint="set lora.target_modules to a pattern of its layer names",
        ) from None
    adapted.peft_config["default"].base_model_name_or_path = base
    return adapted


def vision_tower(model: Any) -> nn.Module:
    """The part that looks at pictures.

    Raises:
        DataError: the model calls it otherwise than any known one does.
    """
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in ("vision_tower", "visual", "vision_model", "vpm"):
            found: nn.Module = module
            return found
    raise DataError("this model has no vision tower of a known name", hint="set freeze_vision: false")


def save(model: Any, processor: Any, out: Path, state: Any = None) -> None:
    """Write weights (safetensors, half precision for our own model) and processor.

    Args:
        model: whose weights.
        processor: its processor.
        out: folder.
        state: the weights, where those of ``model`` are divided among processes.
    """
    out.mkdir(parents=True, exist_ok=True)
    no_bars()
    if state is not None:
        model.save_pretrained(out, state_dict=state)
    elif hasattr(model, "peft_config"):
        lora_of.save(model, out, model.peft_config["default"].base_model_name_or_path)
    elif isinstance(vision_tower(model), tower.GlyphTower):
        copy.deepcopy(model).half().save_pretrained(out)
    else:
        model.save_pretrained(out)
    processor.save_pretrained(out)


def merged(model: Any) -> Any:
    """The model with its adapter added in, to be used without peft."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model

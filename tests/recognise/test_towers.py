"""The contrastive towers without torch: same vectors as with it, adapters, clear refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from guqin_kg.errors import DataError, NotFoundError, UsageError
from guqin_kg.recognise.towers import Towers, trunk_hash
from guqin_kg.recognise.weights import read_safetensors

torch = pytest.importorskip("torch", reason="needs the [train] extra")
pytestmark = pytest.mark.train

TEXTS = ["大九勾四", "勾", "散挑七", "未知的字"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from training.contrastive.model import Towers as Trained
    from training.contrastive.model import TowersConfig

    torch.manual_seed(3)
    config = TowersConfig(
        characters="七九勾四大挑散", modalities=["image", "text", "audio"], height=32, width=24, channels=[8, 16],
        blocks=[1, 0], hidden=24, heads=2, feed_forward=32, image_layers=2, text_layers=2, audio_layers=1, bands=16,
        frames=18, space=20, queries=3,
    )  # fmt: skip
    trained = Trained(config)
    with torch.no_grad():
        for name, value in trained.named_parameters():
            if "bias" in name or "cell_position" in name:
                value.normal_(std=0.1)
        for name, value in trained.named_buffers():
            if "running" in name:
                value.uniform_(0.5, 1.5)
    out = tmp_path_factory.mktemp("towers")
    trained.save_pretrained(out)
    return out


def with_torch(folder: Path, adapter: Path | None = None) -> tuple[np.ndarray, ...]:
    from training.contrastive.run import read

    trained = read(folder).eval()
    if adapter is not None:
        from peft import PeftModel

        trained = PeftModel.from_pretrained(trained, adapter).merge_and_unload()
    images = torch.from_numpy(windows()).float().div(255).unsqueeze(1)
    with torch.no_grad():
        found = trained(image=images, text=trained.text_tensor(TEXTS), audio=torch.from_numpy(frames()))
    return tuple(found[name].numpy() for name in ("image", "text", "audio"))


def windows() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, 32, 24), dtype=np.uint8)


def frames() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((3, 18, 16)).astype(np.float32)


def test_the_same_vectors_with_and_without_torch(model: Path) -> None:
    towers = Towers.open(model)
    found = towers.images(windows()), towers.texts(TEXTS), towers.sounds(frames())
    for mine, theirs in zip(found, with_torch(model), strict=True):
        assert mine.shape == theirs.shape
        assert np.allclose(mine, theirs, atol=2e-5)
        assert np.allclose(np.linalg.norm(mine, axis=1), 1, atol=1e-5)
    assert towers.unknown(TEXTS) == sorted("未知的字")


def test_an_adapter_is_added_in_and_refused_over_another_model(model: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    from training.contrastive.run import read

    wrapped = get_peft_model(
        read(model), LoraConfig(r=2, target_modules=r".*image\..*(query|value|conv1|project)", init_lora_weights=False)
    )
    place = tmp_path / "book"
    wrapped.save_pretrained(place)
    about = {"name": "book", "base": trunk_hash(read_safetensors(model / "model.safetensors"))}
    (place / "adapter.json").write_text(json.dumps(about), "utf-8")
    towers = Towers.open(model, str(place))
    assert towers.name == "book"
    image, text, _ = with_torch(model, place)
    assert np.allclose(towers.images(windows()), image, atol=5e-5)
    assert np.allclose(towers.texts(TEXTS), text, atol=2e-5)
    plain = Towers.open(model)
    assert np.abs(plain.images(windows()) - image).max() > 1e-3
    assert plain.key != towers.key
    (place / "adapter.json").write_text(json.dumps(about | {"base": "0" * 32}), "utf-8")
    with pytest.raises(UsageError, match="another contrastive model"):
        Towers.open(model, str(place))


def test_what_is_missing_is_said(model: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no contrastive model"):
        Towers.open(tmp_path)
    with pytest.raises(NotFoundError, match="no contrastive adapter 'nobody'"):
        Towers.open(model, "nobody")
    (tmp_path / "config.json").write_text('{"model_type": "clip"}', "utf-8")
    (tmp_path / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes())
    with pytest.raises(DataError, match="'clip'"):
        Towers.open(tmp_path)
    (tmp_path / "config.json").write_text((model / "config.json").read_text("utf-8"), "utf-8")
    (tmp_path / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(DataError, match="safetensors"):
        Towers.open(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("heads", None, "'heads' is missing"),
        ("heads", 5, "reshape"),
        ("heads", 0, "zero"),
        ("characters", None, "'characters' is missing"),
        ("characters", 7, "not iterable"),
        ("characters", "七九", "2 characters are told of, the text tower knows 7"),
        ("modalities", None, "'modalities' is missing"),
        ("image_layers", 1, "1 image layers are told of, 2 are there"),
        ("text_layers", 9, "9 text layers are told of, 2 are there"),
        ("audio_layers", None, "'audio_layers' is missing"),
        ("max_characters", 30, "texts of 30 characters are told of, the text tower reads up to 24"),
        ("max_characters", 0, "texts of 0 characters"),
        ("space", 21, "21 numbers"),
        ("width", 32, "broadcast"),
        ("bands", 15, "mismatch"),
        ("frames", 99, "broadcast"),
    ],
)
def test_weights_and_configuration_that_do_not_belong_together(
    model: Path, tmp_path: Path, key: str, value: object, message: str
) -> None:
    config = json.loads((model / "config.json").read_text("utf-8")) | {key: value}
    if value is None:
        del config[key]
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "model.safetensors").symlink_to(model / "model.safetensors")
    with pytest.raises(DataError, match=message) as caught:
        Towers.open(tmp_path)
    assert caught.value.code == "bad-model"
    assert caught.value.file == str(tmp_path)
    assert caught.value.hint


def test_weights_without_a_tower(model: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    weights = read_safetensors(model / "model.safetensors")
    (tmp_path / "config.json").symlink_to(model / "config.json")
    save_file({k: v for k, v in weights.items() if ".audio.pool." not in k}, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=r"audio\.pool.*is missing"):
        Towers.open(tmp_path)


def test_searching_needs_no_torch(model: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path; from guqin_kg.recognise.nearest import Search\n"
        "from guqin_kg.recognise.towers import Towers\n"
        f"t = Towers.open(Path({str(model)!r})); t.texts(['勾']); t.images(np.zeros((1, 32, 24), 'u1'))\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_real_crops(shared_data: Path) -> None:
    """Floors far below what docs/experiments.md reports, so that a broken model cannot pass."""
    from guqin_kg.notation.grammar import default_grammar
    from training.evaluate.retrieval import on_crops

    labels = shared_data / "data" / "wushen" / "labels.jsonl"
    for adapter, least in ((None, 0.7), ("wusheng-1457", 0.78)):
        found = on_crops(Towers.open(adapter=adapter), labels, default_grammar(), {"4"})
        assert found["readings"] > 550
        assert found["image_to_text"]["top1"] > least
        assert found["image_to_text"]["top5"] > 0.9

"""Launching on more than one processor: the configurations are what accelerate reads, divided weights train."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("accelerate", reason="needs the [train] extra")

from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file

from training.dialogue.config import CONFIGS

pytestmark = pytest.mark.train
SCALE = sorted((CONFIGS.parent / "scale").glob("*.yaml"))


@pytest.mark.parametrize("path", SCALE, ids=lambda path: path.stem)
def test_the_launcher_reads_each_configuration(path: Path) -> None:
    config = load_config_from_file(str(path))
    assert isinstance(config, ClusterConfig)
    assert config.num_processes == (8 if path.stem.endswith("-8") else 1)
    assert f"--config_file training/configs/scale/{path.name}" in path.read_text("utf-8")


def test_there_is_one_for_every_way() -> None:
    kinds = {str(load_config_from_file(str(path)).distributed_type).rpartition(".")[2] for path in SCALE}
    assert kinds == {"NO", "MULTI_GPU", "FSDP", "DEEPSPEED"}


def test_a_misspelt_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(SCALE[0].read_text("utf-8") + "num_procceses: 2\n", "utf-8")
    with pytest.raises(ValueError, match="num_procceses"):
        load_config_from_file(str(path))


def test_the_card_names_the_command_that_was_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    from training.processes import typed

    given = ("training.recipes.dialogue", "configs/ours.yaml", Path("models/dialogue"))
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert typed(*given) == "python -m training.recipes.dialogue --config ours.yaml --out dialogue"
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert typed(*given).startswith("torchrun --nproc_per_node 2 -m training.recipes.dialogue --config")

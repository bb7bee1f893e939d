"""Half precision is used where the processor has it, or where a configuration asks for it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")

from training import config, precision  # noqa: E402


@pytest.mark.parametrize(("wanted", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_configuration_decides(wanted: bool, expected: torch.dtype) -> None:
    with precision.autocast(wanted):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is expected


@pytest.mark.parametrize("there", [True, False])
def test_else_the_processor_decides(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": there})
    precision.has_bfloat16.cache_clear()
    try:
        assert precision.has_bfloat16() is there
        with precision.autocast(None):
            assert ((torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16) is there
    finally:
        precision.has_bfloat16.cache_clear()


def test_the_bundled_configurations_leave_it_open() -> None:
    open_ones = [name for name in config.names() if config.load(name).bf16 is None]
    assert {"base", "further", "extend", "adapt"} <= set(open_ones)

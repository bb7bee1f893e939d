"""No traceback reaches a user: a fault of the program is one line, unless asked for."""

from __future__ import annotations

import sys

import pytest

from guqin_kg import cli


def test_a_fault_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(cli, "cli", broken)
    monkeypatch.delenv("GUQIN_DEBUG", raising=False)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    said = capsys.readouterr().err
    assert "boom" in said
    assert "Traceback" not in said
    monkeypatch.setenv("GUQIN_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_an_unknown_command_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["guqin", "no-such-command"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2

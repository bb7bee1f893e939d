"""Keeping libraries from talking: progress bars for files that are written in a blink."""

from __future__ import annotations


def no_bars() -> None:
    """No progress bars of transformers; a model here is a few megabytes, one from the hub shows its own download."""
    from transformers.utils import logging

    logging.disable_progress_bar()

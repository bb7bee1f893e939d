"""``python -m guqin_kg`` is ``guqin``."""

from guqin_kg.cli import main

main()

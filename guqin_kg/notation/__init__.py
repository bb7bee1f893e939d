"""Readings: grammar, parser, formatter, identifiers, triples and the lexicon."""

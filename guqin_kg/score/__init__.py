"""Scores: sequences of readings interpreted in context, checked, and written as audio, MIDI or MusicXML."""

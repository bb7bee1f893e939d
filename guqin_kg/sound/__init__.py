"""Sound: exact string fractions, tunings, pitches, and a physical model of the plucked string."""

"""Dialogues about notations: templates bound to library queries, generated in batches, regenerated after edits."""

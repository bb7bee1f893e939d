"""The graph on disk: Turtle sources, the embedded store, workspaces, edits and imports."""

"""One Transformer with switches, its checkpoints, and its description as plain numbers."""

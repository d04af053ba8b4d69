"""One Transformer with switches, model families (what their checkpoints are like), and weights read by slices."""

"""Model families, each one file: how Hugging Face checkpoints of it name and store what one Transformer with switches has."""

"""What is learnt: each task makes the same batch on every rank, from the seed and the step alone."""

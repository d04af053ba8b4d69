"""The answer in words: which configuration used least energy, which was fastest, and how the others compare with the base."""

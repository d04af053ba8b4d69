"""Shared by tasks: the base class with its registry, token ids of text, and the movie reviews."""

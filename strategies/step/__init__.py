"""One training step: its composition, runners, gradient sync, attention over split tokens, layers over split heads."""

"""Exit codes of the command lines and of ranks."""

from __future__ import annotations

OK = 0
FAILED = 1  # a point failed, a check said FAIL, a measurement cannot be trusted
BAD_INPUT = 2  # what the user can mend, said in one line
OUT_OF_MEMORY = 3  # a rank that needs more memory than there is
INTERRUPTED = 130  # Ctrl-C

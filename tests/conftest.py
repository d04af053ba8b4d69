"""Started in the background of a script, a session ignores Ctrl-C, and so does everything that it starts; tests send it."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

"""The command lines of ``python -m bench``."""

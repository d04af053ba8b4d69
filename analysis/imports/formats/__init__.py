"""The formats of logs, one file each; a format registers itself (``analysis/imports/log/log_format.py``)."""

"""The command ``edgejoule``: all verbs of the suite under one name. For programs under ``edgejoule monitor``: ``region``."""

from bench.monitor.region import region

__all__ = ["region"]

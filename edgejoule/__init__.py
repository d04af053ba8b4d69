"""The command ``edgejoule``: all verbs of the suite under one name."""

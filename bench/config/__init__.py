"""The configuration: every key with its type, default, unit, meaning and range, one block a file.

``run_config`` is what the command line composes, ``point_config`` what one point of it resolves to and what the worker reads.
"""

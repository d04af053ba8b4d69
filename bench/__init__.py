"""One experiment, from a command line to a record."""

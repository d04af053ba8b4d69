"""Parallel training of Transformers over MPI: a library without configuration files, energy or records."""

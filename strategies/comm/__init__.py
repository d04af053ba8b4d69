"""MPI under torch: buffers, mesh, counted operations with their adjoints, waiting and progress.

Every byte of a training step passes through this package, so that the ledger sees it.
"""

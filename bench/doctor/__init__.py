"""Is this cluster ready? ``python -m bench.doctor VERB``: a file of this package for each verb, found by itself."""

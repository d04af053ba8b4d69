"""Tables of a study, each as data for CSV, for the page and for LaTeX. They register themselves (``table_registry.py``)."""

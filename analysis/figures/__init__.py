"""The figures of a report, one file each, which register themselves (``analysis/plotting/figure_registry.py``).

Every figure is a pure function of a study: ``draw(study, layout) -> list[DrawnFigure]``, empty where there is nothing to draw.
"""

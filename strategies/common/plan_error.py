"""The error of a configuration that cannot be run."""


class PlanError(ValueError):
    """A model, mesh or batch that a strategy cannot run: what was wrong, what was found, what to use.

    Always one line; the command line prints it and exits with code 2.
    """

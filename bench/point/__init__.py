"""From words of a command line to one point: composed by Hydra, resolved, checked."""

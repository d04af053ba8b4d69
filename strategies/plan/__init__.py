"""Predictions for one configuration before anything runs: mesh, model, placement, memory, traffic. Imports no torch."""

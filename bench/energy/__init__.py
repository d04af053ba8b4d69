"""Joules of every host: channels, sources, the sampler process, clocks, integration, attribution."""

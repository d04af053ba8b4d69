"""Shared by figures: style, axes over a varied number, rows of configurations, captions."""

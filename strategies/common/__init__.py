"""Errors and the registry. Imports nothing but the standard library."""

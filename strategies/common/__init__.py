"""The registry, errors, options as fields with a meaning, and looks. Imports nothing but the standard library."""

"""What figures share: style, axes over a varied number, rows of configurations, captions."""

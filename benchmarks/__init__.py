"""Side by side with what people would otherwise use. Never part of the tests: machines are shared, and times are noisy."""

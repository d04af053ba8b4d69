"""Shared by several sensors: the source and meter base classes, RAPL zones, Jetson rails, a board's watts."""

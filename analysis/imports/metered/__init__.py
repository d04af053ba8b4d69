"""A run's record and a study with the readings of another meter."""

"""Power modes of boards: set for a run, verified, and put back however the run ends."""

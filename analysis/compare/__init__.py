"""What changed between two studies, by how much, and whether that is real."""

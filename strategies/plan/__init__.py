"""What a configuration will do, computed before anything runs: mesh, model, placement, memory, volumes. Imports no torch."""

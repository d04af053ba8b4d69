"""Records of points: their blocks, schema, reading, checks, and the folder of a study. Imports neither torch nor MPI."""

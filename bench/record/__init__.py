"""Records of points: their schema, writer, checks and environment. Imports neither torch nor MPI."""

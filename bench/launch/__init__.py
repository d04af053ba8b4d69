"""Starting points: host inventory, mpirun command lines, processes and their end. Never imports MPI."""

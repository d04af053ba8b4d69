"""Joules of any program: ``edgejoule monitor -- COMMAND``, on its own, under mpirun, inside srun.

A wrapper around each rank's command, one agent a host that reads its sensors, a part from each host, one record of all.
"""

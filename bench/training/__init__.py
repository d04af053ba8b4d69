"""The training of one point on one rank: set-up of the rank, loop, memory, replication of the weights."""

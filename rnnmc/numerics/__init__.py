"""Numbers without a meaning yet: how replicates lie in memory, random normal numbers, norms of matrices, compiled C."""

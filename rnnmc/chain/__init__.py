"""The product P_T along a trajectory, its norms, and how a cell is checked."""

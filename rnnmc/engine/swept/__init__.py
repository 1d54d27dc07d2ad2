"""Norms of long products from a few directions, swept along the trajectory by C that is made from the cell."""

"""The norms of a long product from a few directions that are swept along it, with their error."""

"""The chain as C that is made from a cell, for one width and dtype."""

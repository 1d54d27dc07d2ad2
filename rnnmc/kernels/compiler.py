"""Moved."""

from rnnmc.compiler import compiled, compiler

__all__ = ["compiled", "compiler"]

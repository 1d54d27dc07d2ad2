"""Untied Gaussian matrices, drawn as far as they are seen, at widths where they could not be formed."""

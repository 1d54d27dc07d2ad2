"""Laws of the limit of large width, one file each."""

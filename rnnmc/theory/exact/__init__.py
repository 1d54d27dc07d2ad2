"""Laws that hold for every width and horizon, one file each."""

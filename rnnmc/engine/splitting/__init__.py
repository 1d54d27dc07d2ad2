"""Rare events by subset simulation: populations of networks that move through the coordinates of their draws."""

"""A study file becomes a validated study, and that a list of design points, each with a key."""

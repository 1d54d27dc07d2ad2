"""rnnmc: how probable is it that the gradient of a recurrent network vanishes, or explodes? Measured."""

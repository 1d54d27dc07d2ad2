"""Samples become counts, probabilities with intervals, quantiles, growth rates and what follows from them."""

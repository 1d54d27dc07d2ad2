"""A study stage by stage: over Ray or in this process, with progress and a forecast."""

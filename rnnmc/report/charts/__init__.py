"""Charts of the statistics that every study has."""

"""Statistics become tables, charts and the page."""

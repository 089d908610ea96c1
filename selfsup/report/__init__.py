"""A run folder as one HTML page."""

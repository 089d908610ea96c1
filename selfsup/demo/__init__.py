"""Complete runs a person would type."""

"""The folder of a run: written while it goes on, read afterwards."""

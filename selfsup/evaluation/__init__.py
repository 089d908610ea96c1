"""Run a model over data: scores in the order of the file, metrics, a predictions file."""

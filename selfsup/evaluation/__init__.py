"""Running a model over data: metrics and predictions."""

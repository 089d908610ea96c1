"""Tasks with labels: from the rows of a file to the metrics that come out."""

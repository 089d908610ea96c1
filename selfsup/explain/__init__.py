"""The `explain` command: a course page about self-supervised learning, on the reader's own text."""

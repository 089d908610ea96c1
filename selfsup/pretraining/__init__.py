"""Self-supervised objectives: what is hidden, and what is predicted."""

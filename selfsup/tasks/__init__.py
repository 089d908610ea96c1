"""Supervised tasks: read, head, loss, decode, metric."""

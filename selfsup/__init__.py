"""Self-supervised pre-training and transfer learning, from raw data to a working model."""

__version__ = "0.1.0"

"""What is frozen, and how learning rates differ by layer."""

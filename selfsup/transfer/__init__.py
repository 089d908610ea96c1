"""What is frozen and how fast each layer learns."""

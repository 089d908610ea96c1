"""Pre-training on images: inpainting and jigsaw puzzles."""

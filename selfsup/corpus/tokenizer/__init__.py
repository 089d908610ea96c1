"""WordPiece: train a vocabulary, encode with it, save it, extend it."""

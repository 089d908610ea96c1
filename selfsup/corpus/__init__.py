"""Raw text to documents, sentences, WordPiece tokens and shards on disk."""

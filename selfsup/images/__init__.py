"""Images: find and decode files, store their pixels in shards, and crop them for training."""

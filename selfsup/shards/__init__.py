"""Data on disk as flat arrays: tokens and pixels in files that are memory-mapped."""

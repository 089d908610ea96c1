"""Shards: tokens or pixels on disk, as flat arrays in files that are read in parts."""

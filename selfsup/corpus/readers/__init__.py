"""Read documents from files and other sources of any kind."""

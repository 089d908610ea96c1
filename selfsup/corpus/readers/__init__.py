"""Read documents from files, URLs, data sets and installed packages."""

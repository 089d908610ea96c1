"""Model folders in the form that Hugging Face reads and writes."""

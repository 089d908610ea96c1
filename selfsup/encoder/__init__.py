"""The Transformer encoder: sizes, layers, weights in Hugging Face's form."""

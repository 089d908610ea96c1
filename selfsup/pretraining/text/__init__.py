"""Pre-training on text: masked language modelling and next-sentence prediction."""

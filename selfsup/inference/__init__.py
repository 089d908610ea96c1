"""Use a trained model: predict, fill masks."""

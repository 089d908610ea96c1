"""Fine-tuning: learn a task from labelled examples, starting from a pre-trained encoder."""

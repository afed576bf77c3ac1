"""Fine-tuning of a language model on abstracts."""

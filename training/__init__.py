"""Fine-tuning: from a corpus and a base model to an adapter that `astrosearch` can use."""

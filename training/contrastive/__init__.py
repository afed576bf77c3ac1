"""Training of an encoder by pairs of texts."""

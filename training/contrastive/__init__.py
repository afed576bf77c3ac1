"""An encoder that retrieves, trained on pairs of texts that belong together."""

"""How the ranker gets its weights: signals of candidates, and a linear function fitted on them."""

"""From a query to hits: parsed query, candidates, signals, ranker, hits."""

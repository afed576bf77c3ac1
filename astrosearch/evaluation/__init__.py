"""How well an index finds the right papers."""

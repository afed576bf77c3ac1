"""How results look on a terminal and down a pipe."""

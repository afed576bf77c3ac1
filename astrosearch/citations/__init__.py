"""Who cites whom: a graph of works that is a part of an index."""

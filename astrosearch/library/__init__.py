"""The user's own papers: kept in plain files, matched with an index, searched and learnt from."""

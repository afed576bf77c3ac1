"""Texts: TeX, terms, sentences, quantities, BibTeX."""

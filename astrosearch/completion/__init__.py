"""Abstracts continued by a language model, and checked."""

"""Encoders: texts to vectors. Each is a module of its own, imported when it is asked for."""

"""Papers compared under several encoders."""

"""Training: from a corpus and a base model to an adapter that `astrosearch` can use."""

from astrosearch.encoders import hugging_face as hugging_face  # first: it silences the others

"""An index on disk: papers, vectors and terms, and how it is built."""

"""Which papers are held out from all training: decided by the identifier alone."""

import hashlib

HELD_OUT_SHARE = 5
"""One paper in five, as in the AstroLLaMA paper (arXiv:2309.06126, section 2.1)."""


def is_held_out(paper_id: str, fold: int = 0) -> bool:
    """True for one identifier in five, the same ones on every machine and in every corpus.

    Args:
        paper_id: normalised identifier.
        fold: which fifth, 0 to 4. All shipped models were trained without fold 0; the others are
            for cross-validation.
    """
    digest = hashlib.sha256(paper_id.encode()).digest()
    return int.from_bytes(digest[:8]) % HELD_OUT_SHARE == fold

"""Digests of weights, by which an index knows the model that made its vectors."""

import hashlib
import os
from pathlib import Path

DIGITS = 16
"""Of a digest, as far as a revision shows it."""

QUERY_TABLE = "query-table.safetensors"
"""In an embedding adapter's folder: what is added to the vectors of queries
(`encoders.query_table`)."""


def fingerprint(folder: Path) -> str:
    """A digest of a folder's configuration and weights. What reads queries alone does not count:
    no vector of an index depends on it.

    Of a large file its size and its first and last 16 MB count: enough to tell trainings apart
    without reading 13 GB before every query.
    """
    part = 16 * 2**20
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix not in (".json", ".safetensors", ".bin") or file.name == QUERY_TABLE:
            continue
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(part))
            if size > 2 * part:
                stream.seek(-part, os.SEEK_END)
            digest.update(stream.read(part))
    return digest.hexdigest()[:DIGITS]

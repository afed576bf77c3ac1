"""An answer of OpenAI's embeddings API, checked before any of it is used or kept.

Its form is that of https://platform.openai.com/docs/api-reference/embeddings/create.
"""

import base64
import binascii
import json
from typing import Any

import numpy as np

from astrosearch.encoders.vectors import Vectors


class UnreadableAnswer(Exception):
    """An answer that was cut off, or is not JSON: worth another try."""


class WrongAnswer(Exception):
    """An answer that can be read and must not be used."""


def read_answer(
    content: bytes, count: int, dimension: int | None = None
) -> tuple[Vectors, int | None]:
    """The vectors of an answer to `count` texts, and the tokens it says they had.

    Args:
        dimension: of the vectors, if it is known.

    Returns:
        (count, d) float32, in the order of the texts.

    Raises:
        UnreadableAnswer: if it is worth another try.
        WrongAnswer: if it must not be used.
    """
    answer = _parsed(content)
    data = answer.get("data")
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        raise WrongAnswer("it has no list of vectors")
    if len(data) != count:
        raise WrongAnswer(f"{len(data):,} vectors for {count:,} texts")
    rows: dict[object, Vectors] = {}
    for entry in data:
        index = entry.get("index")
        if type(index) is not int or not 0 <= index < count or index in rows:
            raise WrongAnswer(f"the indices of its {count:,} vectors are not 0 to {count - 1:,}")
        rows[index] = _read_vector(entry.get("embedding"), dimension)
    if len(sizes := {len(row) for row in rows.values()}) > 1:
        raise WrongAnswer(f"its vectors have {' and '.join(map(str, sorted(sizes)))} dimensions")
    vectors = np.stack([rows[index] for index in range(count)])
    if not np.isfinite(vectors).all():
        raise WrongAnswer("a vector has a number that is not finite")
    if not vectors.any(axis=1).all():
        raise WrongAnswer("a vector has nothing but zeros")
    usage = answer.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return vectors, tokens if type(tokens) is int and tokens >= 0 else None


def _parsed(content: bytes) -> dict[str, Any]:
    """The answer's JSON object, which is not one of an error."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        raise UnreadableAnswer("an answer that is cut off, or not JSON") from None
    if not isinstance(answer, dict):
        raise WrongAnswer("its JSON is not an object")
    if error := answer.get("error"):
        message = error.get("message") if isinstance(error, dict) else error
        raise WrongAnswer(" ".join(str(message).split())[:300])
    return answer


def _read_vector(form: object, dimension: int | None) -> Vectors:
    """A list of numbers, or base64 of little-endian float32."""
    try:
        if isinstance(form, str):
            content = base64.b64decode(form, validate=True)
            if _is_float64(content, dimension):
                raise WrongAnswer(
                    f"a vector of {len(content):,} bytes holds {len(content) // 8:,} numbers of "
                    "64 bits, 32 are expected in base64"
                )
            vector = np.frombuffer(content, "<f4").astype(np.float32)
        else:
            with np.errstate(over="ignore"):  # too large becomes infinite, which is refused
                vector = np.array(form, dtype=np.float32)
    except (binascii.Error, ValueError, TypeError, OverflowError):
        raise WrongAnswer("what should be a vector is not one") from None
    if vector.ndim != 1 or not len(vector):
        raise WrongAnswer("what should be a vector is not one")
    return vector


def _is_float64(content: bytes, dimension: int | None) -> bool:
    """Whether base64 holds numbers of 64 bits: twice as long as the vector is, or, where its
    dimension is not known, a vector of length 1 if read so, which no float32 vector is."""
    if dimension is not None or len(content) % 8:
        return dimension is not None and len(content) == 8 * dimension
    with np.errstate(all="ignore"):
        length = np.linalg.norm(np.frombuffer(content, "<f8"))
    return bool(abs(length - 1) < 1e-3)

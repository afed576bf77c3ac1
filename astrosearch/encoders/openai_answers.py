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


def read_answer(content: bytes, count: int) -> tuple[Vectors, int | None]:
    """The vectors of an answer to `count` texts, and the tokens it says they had.

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
        rows[index] = _read_vector(entry.get("embedding"))
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
    except ValueError:
        raise UnreadableAnswer("an answer that is cut off, or not JSON") from None
    if not isinstance(answer, dict):
        raise WrongAnswer("its JSON is not an object")
    if error := answer.get("error"):
        message = error.get("message") if isinstance(error, dict) else error
        raise WrongAnswer(" ".join(str(message).split())[:300])
    return answer


def _read_vector(form: object) -> Vectors:
    """A list of numbers, or base64 of little-endian float32."""
    try:
        if isinstance(form, str):
            vector = np.frombuffer(base64.b64decode(form, validate=True), "<f4").astype(np.float32)
        else:
            with np.errstate(over="ignore"):  # too large becomes infinite, which is refused
                vector = np.array(form, dtype=np.float32)
    except (binascii.Error, ValueError, TypeError, OverflowError):
        raise WrongAnswer("what should be a vector is not one") from None
    if vector.ndim != 1 or not len(vector):
        raise WrongAnswer("what should be a vector is not one")
    return vector

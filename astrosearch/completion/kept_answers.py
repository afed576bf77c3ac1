"""Answers of chat models that are kept in the cache: what was paid for is not asked again."""

import hashlib
from collections.abc import Callable
from typing import TypeVar

import orjson

from astrosearch.atomic import whole_file
from astrosearch.encoders import openai_service as service
from astrosearch.errors import AstrosearchError
from astrosearch.paths import cache_folder

T = TypeVar("T")


def kept_answer(
    folder: str,
    model: str,
    task: str,
    prompt: str,
    ask: Callable[[str], str],
    read: Callable[[str], T],
) -> T:
    """What a model answers to a prompt, from the cache if it was asked before.

    Args:
        folder: of the cache.
        ask: asks the model.
        read: makes something of its answer, or raises; what it cannot read is not kept.

    Raises:
        AstrosearchError: what `ask` and `read` raise.
    """
    key = hashlib.sha256(f"{model}\n{service.host()}\n{task}\n{prompt}".encode()).hexdigest()
    file = cache_folder() / folder / key
    try:
        return read(orjson.loads(file.read_bytes())["answer"])
    except (OSError, ValueError, TypeError, KeyError, AstrosearchError):
        pass  # not asked yet, or a file that is not an answer
    answer = ask(prompt)
    result = read(answer)
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as stream:
        stream.write(orjson.dumps({"answer": answer}))
    return result

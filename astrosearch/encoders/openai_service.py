"""OpenAI's service, or a server that speaks its language: where it is, its key, what it refuses.

The key is never printed, not even where a server quotes it.
"""

import json
import os
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import openai

from astrosearch.errors import AstrosearchError, SetupError

KEY = "OPENAI_API_KEY"
ADDRESS = "OPENAI_BASE_URL"
DEFAULT_ADDRESS = "https://api.openai.com/v1"

LONGEST_ANSWER = 200 * 10**6
"""Bytes: 2,048 vectors of 3,072 dimensions, each number of them in 24 characters, are 151 MB."""


def client(model: str, *, timeout: float, retries: int) -> openai.OpenAI:
    """
    Args:
        model: what the key is needed for.
        timeout: seconds without a byte.

    Raises:
        SetupError: if there is no key.
    """
    address()
    base = os.environ.get(ADDRESS) or DEFAULT_ADDRESS
    return openai.OpenAI(
        api_key=key(model),
        base_url=base,
        max_retries=retries,
        # A redirect would take key or texts to where nobody agreed to send them.
        http_client=openai.DefaultHttpxClient(
            base_url=base,
            timeout=timeout,
            follow_redirects=False,
            event_hooks={"response": [_bound]},
        ),
        timeout=timeout,
    )


class _BoundedStream(httpx2.SyncByteStream):
    """An answer's bytes, as far as an answer can be long."""

    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        left = LONGEST_ANSWER
        for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise AstrosearchError(
                    f"{host()} answers with more than {LONGEST_ANSWER // 10**6:,} MB, which is no "
                    "answer; nothing of it is kept"
                )
            yield chunk

    def close(self) -> None:
        self._stream.close()


def _bound(response: httpx2.Response) -> None:
    if isinstance(response.stream, httpx2.SyncByteStream):
        response.stream = _BoundedStream(response.stream)


def key(model: str) -> str:
    """
    Raises:
        SetupError: if there is none, or what is set cannot be one.
    """
    value = os.environ.get(KEY, "").strip()
    if not value:
        raise SetupError(f"{KEY} is not set: {model} needs a key of OpenAI's")
    if not re.fullmatch(r"[!-~]+", value):
        raise SetupError(f"{KEY} holds what no key has: spaces, or characters beyond ASCII")
    return value


def address() -> str:
    """Where the service is, without a user and password that may stand in it.

    Raises:
        SetupError: if `OPENAI_BASE_URL` is not an address.
    """
    try:
        parts = urlsplit(os.environ.get(ADDRESS) or DEFAULT_ADDRESS)
        _ = parts.port
    except ValueError as error:  # as `http://[::1`, or port 99999
        raise SetupError(
            f"{ADDRESS} is not an address ({error}): write it as {DEFAULT_ADDRESS}"
        ) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SetupError(f"{ADDRESS} is not an address: write it as {DEFAULT_ADDRESS}")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl().rstrip("/")


def host() -> str:
    return urlsplit(address()).netloc


def reason(error: openai.APIStatusError) -> str:
    """What the server said, in one line."""
    return whole_reason(error)[:300] or "no reason given"


def whole_reason(error: openai.APIStatusError) -> str:
    """What the server said: `{"error": {"message": …}}` as OpenAI does, or a list of details."""
    body = error.body
    message = body.get("message") or body.get("detail") if isinstance(body, dict) else body
    if isinstance(message, (list, dict)):
        message = json.dumps(message)
    text = message if isinstance(message, str) else error.response.reason_phrase
    return without_key(" ".join(text.split())[:2_000])


def check_admitted(error: openai.APIStatusError) -> None:
    """
    Raises:
        SetupError: if the server does not take the key.
    """
    if error.status_code == 401:
        raise SetupError(
            f"{host()} does not accept the key in {KEY} (401); set another one"
        ) from None
    if error.status_code == 403:
        raise SetupError(f"{host()} refuses the key in {KEY} (403): {reason(error)}") from None


def failure(error: openai.APIError, timeout: float) -> AstrosearchError:
    """The line for a request that failed for good.

    Raises:
        SetupError: if the server does not take the key.
    """
    if isinstance(error, openai.APIStatusError):
        check_admitted(error)
        return AstrosearchError(f"{host()} gave no answer: {error.status_code}: {reason(error)}")
    if isinstance(error, openai.APITimeoutError):
        return AstrosearchError(f"{host()} gave no answer within {timeout:g} s")
    if isinstance(error.__cause__, AstrosearchError):
        return error.__cause__
    cause = without_key(" ".join(str(error.__cause__ or error.message).split())[:300])
    return AstrosearchError(f"{host()} gave no answer: {cause or 'connection lost'}")


def without_key(text: str) -> str:
    """A server may quote the key, or a part of it."""
    value = os.environ.get(KEY, "").strip()
    if value:
        text = re.sub(re.escape(value), lambda _: f"${KEY}", text, flags=re.IGNORECASE)
    return re.sub(r"\bsk-[^\s.,;:'\"]+", f"${KEY}", text, flags=re.IGNORECASE)

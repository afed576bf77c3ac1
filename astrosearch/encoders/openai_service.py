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

HEADERS = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS")
"""What the openai library puts into the headers of a request."""

LONGEST_ANSWER = 200 * 10**6
"""Bytes: 2,048 vectors of 3,072 dimensions, each number of them in 24 characters, are 151 MB."""


SHOWN_PART = 5
"""Letters of a key that may be shown side by side: a server that calls it sk-…c3d4 helps."""


def client(
    model: str, *, timeout: float, retries: int, longest: int | None = None
) -> openai.OpenAI:
    """
    Args:
        model: what the key is needed for.
        timeout: seconds without a byte.
        longest: bytes of an answer; by default `LONGEST_ANSWER`.

    Raises:
        SetupError: if there is no key, or the environment has settings that cannot be used.
    """
    address()
    value = key(model)
    for name in HEADERS:
        if not re.fullmatch(r"[\n -~]*", os.environ.get(name, "").strip()):
            raise SetupError(f"{name} holds characters beyond ASCII, which no header can have")

    def bound(response: httpx2.Response) -> None:
        coding = response.headers.get("content-encoding", "identity")
        if coding != "identity":  # a small answer may unpack to one without end
            raise AstrosearchError(f"{host()} answers in {coding}, which was not asked for")
        if isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = _BoundedStream(response.stream, longest or LONGEST_ANSWER)

    try:
        return openai.OpenAI(
            api_key=value,
            base_url=_base(),
            max_retries=retries,
            # A redirect would take key or texts to where nobody agreed to send them.
            http_client=openai.DefaultHttpxClient(
                base_url=_base(),
                timeout=timeout,
                follow_redirects=False,
                headers={"Accept-Encoding": "identity"},
                event_hooks={"response": [bound]},
            ),
            timeout=timeout,
        )
    except (OSError, ValueError, ImportError, httpx2.InvalidURL) as error:
        raise SetupError(
            f"no connection can be made with the settings of this environment ({error}): see "
            "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"
        ) from None


class _BoundedStream(httpx2.SyncByteStream):
    """An answer's bytes, as far as an answer can be long."""

    def __init__(self, stream: httpx2.SyncByteStream, longest: int) -> None:
        self._stream = stream
        self._longest = longest

    def __iter__(self) -> Iterator[bytes]:
        left = self._longest
        for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise AstrosearchError(
                    f"{host()} answers with more than {self._longest / 1e6:,.0f} MB, which is no "
                    "answer; nothing of it is kept"
                )
            yield chunk

    def close(self) -> None:
        self._stream.close()


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
    fault = _fault(_base())
    if fault:
        raise SetupError(f"{ADDRESS} is not an address ({fault}): write it as {DEFAULT_ADDRESS}")
    parts = urlsplit(_base())
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl().rstrip("/")


def _base() -> str:
    return os.environ.get(ADDRESS, "").strip() or DEFAULT_ADDRESS


def _fault(base: str) -> str:
    """What keeps a text from being the address of a server; empty if nothing does."""
    if not re.fullmatch(r"[!-~]+", base) or "\\" in base:
        return "it has blanks, backslashes or characters beyond ASCII"
    try:
        parts = urlsplit(base)
        port, url = parts.port, httpx2.URL(base)
    except (ValueError, httpx2.InvalidURL) as error:  # as `http://[::1`, or port 99999
        return str(error)
    if parts.scheme not in ("http", "https"):
        return "it begins with neither http:// nor https://"
    if port == 0 or parts.fragment:
        return "it has port 0" if port == 0 else f"#{parts.fragment} belongs to a page"
    name = parts.hostname or ""
    is_name = len(name) <= 253 and all(map(_LABEL.fullmatch, name.removesuffix(".").split(".")))
    if url.host != name or not (is_name or ":" in name):
        return f"{name!r} is not a server's name"
    return ""


_LABEL = re.compile(r"(?!-)[\w-]{1,63}(?<!-)", re.ASCII)
"""Between the points of a server's name (RFC 1123, 2.1); underscores occur."""


def host() -> str:
    return urlsplit(address()).netloc


def reason(error: openai.APIStatusError) -> str:
    """What the server said, in one line."""
    if 300 <= error.status_code < 400:
        place = without_key(error.response.headers.get("location", "")[:200])
        return f"it redirects to {place or 'nowhere'}, which is not followed"
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
    """A server may quote the key, or a part of it, in any case."""
    secret = os.environ.get(KEY, "").strip().lower()
    if len(secret) >= SHOWN_PART:  # else it stands for none, as `x`
        # Not `text.lower()`, which is longer than the text for some letters.
        lowered = "".join(letter.lower() if letter.isascii() else letter for letter in text)
        size = min(SHOWN_PART + 1, len(secret))
        parts = {secret[start : start + size] for start in range(len(secret) - size + 1)}
        hidden = {
            place + offset
            for place in range(len(lowered) - size + 1)
            if lowered[place : place + size] in parts
            for offset in range(size)
        }
        text = "".join("\0" if place in hidden else letter for place, letter in enumerate(text))
        text = re.sub("\0+", f"${KEY}", text)
    return re.sub(r"\bsk-[^\s.,;:'\"]+", f"${KEY}", text, flags=re.IGNORECASE)

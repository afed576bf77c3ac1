"""Errors as answers: problem details (RFC 9457) with the exit code that the command line would have
ended with."""

from http import HTTPStatus
from typing import NamedTuple

import orjson

from astrosearch.errors import AstrosearchError, InputError, NothingFound, SetupError

MEDIA_TYPE = "application/problem+json"


class NotOffered(InputError):
    """What was asked for is there, but not for clients."""


class Problem(NamedTuple):
    """Why a request has no answer."""

    status: int
    detail: str
    exit_code: int = 1

    def as_record(self) -> dict[str, object]:
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "exit_code": self.exit_code,
        }

    def body(self) -> bytes:
        return orjson.dumps(self.as_record())


def of_error(error: AstrosearchError) -> Problem:
    """What a client may know of an error. Those of this machine name its folders, so they are for
    its own standard error alone."""
    if isinstance(error, NotOffered):
        return Problem(403, str(error), error.exit_code)
    if isinstance(error, InputError):
        return Problem(400, str(error), error.exit_code)
    if isinstance(error, NothingFound):
        return Problem(404, str(error), error.exit_code)
    if isinstance(error, SetupError):
        detail = "something has to be set up on the server first; its standard error says what"
        return Problem(503, detail, error.exit_code)
    return Problem(500, "the server failed; its standard error says how", error.exit_code)

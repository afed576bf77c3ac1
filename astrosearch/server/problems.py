"""Errors as answers: problem details (RFC 9457) with the exit code that the command line would have
ended with."""

from difflib import get_close_matches
from http import HTTPStatus
from typing import NamedTuple

import orjson
from pydantic import BaseModel, ValidationError

from astrosearch.errors import AstrosearchError, InputError, NothingFound, SetupError

MEDIA_TYPE = "application/problem+json"


class NotOffered(InputError):
    """What was asked for is there, but not for clients."""


_OPENAI_CODES = {401: "invalid_api_key"}


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

    def as_openai_record(self) -> dict[str, object]:
        """As OpenAI's clients read errors. What is not found for them is a model."""
        is_model = self.exit_code == NothingFound.exit_code
        return {
            "error": {
                "message": self.detail,
                "type": "invalid_request_error" if self.status < 500 else "server_error",
                "param": "model" if is_model else None,
                "code": "model_not_found" if is_model else _OPENAI_CODES.get(self.status),
            }
        }


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


LONGEST_SHOWN = 60
"""Characters of a wrong value that are repeated."""


def invalid(error: ValidationError, model: type[BaseModel]) -> str:
    """What is wrong with the first field of a request that is, and what it may be.

    Args:
        model: what the request was to be.
    """
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    name = ".".join(place)
    if first["type"] == "extra_forbidden" and place[0] not in model.model_fields:
        near = get_close_matches(place[0], model.model_fields, 1)
        known = ", ".join(sorted(model.model_fields))
        return f"{name} is not a field; {f'did you mean {near[0]}?' if near else f'write {known}'}"
    if first["type"] == "missing":
        return f"{name} is missing"
    field = model.model_fields.get(place[0]) if place else None
    value = first["input"]
    if first["type"] == "string_pattern_mismatch" and isinstance(value, str):
        if not value.strip():
            return f"{name} is empty"
        if field is not None and field.examples:
            shown = value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "…"
            examples = ", ".join(map(str, field.examples))
            return f"{name} cannot be {shown!r}; for example {examples}"
    return f"{name}: {first['msg']}" if name else str(first["msg"])

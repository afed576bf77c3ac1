"""Typed fields out of a JSON object that anybody may have written. An error names the field."""

import re
from datetime import date
from typing import Any

_REQUIRED: Any = object()

SHOWN = 40
"""Characters of a wrong value that an error shows."""


class FieldError(ValueError):
    """A field that is missing, of another type than it should be, or out of its range."""


class JsonRecord:
    """A JSON object. Each method takes one field out of it, checked; `end` refuses what is left.

    A field that is missing has its `default`; without one it is an error.
    """

    def __init__(self, value: object, name: str = "") -> None:
        """
        Args:
            value: what the JSON parser gave.
            name: of the field that holds the object, as `corpus`; empty for the outermost.
        """
        if not isinstance(value, dict):
            raise FieldError(f"{name or 'it'} is {_shown(value)}, not an object")
        self._fields = dict(value)
        self._name = name

    def names(self) -> list[str]:
        """Of the fields that were not taken yet."""
        return list(self._fields)

    def raw(self, field: str, default: object = _REQUIRED) -> object:
        """A field as it is."""
        if field not in self._fields:
            if default is _REQUIRED:
                raise FieldError(f"{self._path(field)} is missing")
            return default
        return self._fields.pop(field)

    def record(self, field: str, default: object = _REQUIRED) -> "JsonRecord":
        return JsonRecord(self.raw(field, default), self._path(field))

    def remaining(self) -> dict[str, object]:
        """The fields that were not taken yet, as they are."""
        return dict(self._fields)

    def scalar(self, field: str) -> str | int | bool:
        value = self.raw(field)
        if not isinstance(value, str | int | bool):
            raise self._error(field, value, "a text, a whole number, true or false")
        return value

    def text(
        self, field: str, default: Any = _REQUIRED, *, pattern: str = ".*", longest: int = 4_096
    ) -> str:
        value = self.raw(field, default)
        if (
            not isinstance(value, str)
            or len(value) > longest
            or not re.fullmatch(pattern, value, re.ASCII | re.DOTALL)
        ):
            raise self._error(field, value, f"a text of this form: {pattern}")
        return value

    def whole(self, field: str, default: Any = _REQUIRED, *, least: int, most: int = 2**63) -> int:
        value = self.raw(field, default)
        if type(value) is not int or not least <= value <= most:
            raise self._error(field, value, f"a whole number from {least} to {most}")
        return value

    def whole_or_null(
        self, field: str, default: Any = _REQUIRED, *, least: int, most: int = 2**63
    ) -> int | None:
        if self._fields.get(field, default) is None:
            self.raw(field, default)
            return None
        return self.whole(field, default, least=least, most=most)

    def number(self, field: str, default: Any = _REQUIRED, *, least: float, most: float) -> float:
        value = self.raw(field, default)
        if not _is_number(value, least, most):
            raise self._error(field, value, f"a number from {least:g} to {most:g}")
        return float(value)  # type: ignore[arg-type]

    def number_or_null(
        self, field: str, default: Any = _REQUIRED, *, least: float, most: float
    ) -> float | None:
        if self._fields.get(field, default) is None:
            self.raw(field, default)
            return None
        return self.number(field, default, least=least, most=most)

    def list(self, field: str, default: Any = _REQUIRED) -> list[Any]:
        value = self.raw(field, default)
        if not isinstance(value, list):
            raise self._error(field, value, "a list")
        return value

    def rows(self, field: str) -> tuple[int, ...]:
        """A list of whole numbers from 0."""
        values = self.list(field)
        for value in values:
            if type(value) is not int or value < 0:
                raise self._error(field, value, "a list of whole numbers")
        return tuple(values)

    def day(self, field: str, default: Any = _REQUIRED) -> str:
        """YYYY-MM-DD; or the default, whatever that is."""
        if self._fields.get(field, default) == default:
            self._fields.pop(field, None)
            return str(default)
        text = self.text(field, pattern=r"\d{4}-\d\d-\d\d")
        try:
            date.fromisoformat(text)
        except ValueError:
            raise self._error(field, text, "a day") from None
        return text

    def texts(self, field: str, default: Any = _REQUIRED) -> tuple[str, ...]:
        values = self.list(field, default)
        for value in values:
            if not isinstance(value, str):
                raise self._error(field, value, "a list of texts")
        return tuple(values)

    def numbers(
        self, field: str, default: Any = _REQUIRED, *, least: float, most: float
    ) -> tuple[float, ...]:
        values = self.list(field, default)
        for value in values:
            if not _is_number(value, least, most):
                raise self._error(field, value, f"a list of numbers from {least:g} to {most:g}")
        return tuple(map(float, values))

    def end(self) -> None:
        """
        Raises:
            FieldError: if there are fields that nobody took.
        """
        if self._fields:
            field = self._path(next(iter(self._fields)))
            raise FieldError(f"{field} is a field that this version does not know")

    def _path(self, field: str) -> str:
        name = field if re.fullmatch(r"[\w./-]{1,100}", field) else ascii(field)[:SHOWN]
        return f"{self._name}.{name}" if self._name else name

    def _error(self, field: str, value: object, wanted: str) -> FieldError:
        return FieldError(f"{self._path(field)} is {_shown(value)}, not {wanted}")


def _is_number(value: object, least: float, most: float) -> bool:
    """Whether it is one, finite and within bounds; true and false are not."""
    return type(value) in (int, float) and least <= value <= most  # type: ignore[operator]


def _shown(value: object) -> str:
    """The beginning of a value, in ASCII, without what could steer a terminal."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return "a huge number"  # of more than 4,300 digits Python makes no text
    text = ascii(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"

"""The Retry-After header of HTTP: how long a service asks to be left alone."""

import re
import time
from email.utils import parsedate_to_datetime


def retry_after(header: str) -> float | None:
    """Seconds to wait by a Retry-After header, which has seconds or a date (RFC 9110, 10.2.3).

    >>> retry_after("120"), retry_after("1.5"), retry_after("soon")
    (120.0, 1.5, None)

    None if it has neither. A date gone by is 0.
    """
    value = header.strip()
    if re.fullmatch(r"\d+(\.\d+)?", value, re.ASCII):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None

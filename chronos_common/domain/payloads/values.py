"""Values of query parameters and of forms, as text."""

from math import isfinite
from typing import Any


def parameter(value: Any) -> str | list[str]:
    """Return a value as text, or a list of values as texts; each one is sent.

    Numbers and booleans are written as in JSON. Raises :class:`ValueError`, in words.
    """
    if isinstance(value, list):
        if not value:
            raise ValueError("An empty list sends nothing; remove it, or give an empty string.")
        return [_text(item) for item in value]
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return repr(value)
    raise ValueError("Must be a string, a number, true, false or a list of them.")

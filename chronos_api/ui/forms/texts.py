"""The texts of a form's fields, read as values. A text that cannot be read is a ``ValueError``.

Its message is for people, without the name of the field.
"""

import json
from typing import Any

#: Characters of a text that an error repeats.
_SHOWN = 40


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object of a text. An empty text is an empty object."""
    try:
        value = json.loads(text or "{}", parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"Is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ValueError('Must be a JSON object, like {"to": ["a@example.com"]}.')  # noqa: TRY004 - collected
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no value of JSON")


def json_or_text(text: str) -> Any:
    """Return the value of a text that is JSON, or else the text."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def text_of(value: Any) -> str:
    """Return a text that :func:`json_or_text` reads as this value, also from a browser."""
    if isinstance(value, str) and json_or_text(value) == value == trimmed(value):
        return value
    return json.dumps(value, indent=2, ensure_ascii=False)


def trimmed(text: str) -> str:
    """Return a text without its blank ends, whose lines end as ours do: browsers send CRLF."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def headers(text: str) -> dict[str, str]:
    """Return the headers of a text that has one in each line."""
    found = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon:
            raise ValueError(f"{line[:_SHOWN]!r} is no 'Name: value'.")
        found[name.strip()] = value.strip()
    return found


def number(text: str) -> float:
    """Return a number, without a fraction if it has none."""
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"{text.strip()[:_SHOWN]!r} is not a number.") from error
    return int(value) if value.is_integer() else value


def parts(text: str) -> list[str]:
    """Return the parts of a list that is separated by commas or lines."""
    return [each.strip() for each in text.replace("\n", ",").split(",") if each.strip()]

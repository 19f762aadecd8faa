"""JSON bodies (RFC 8259). Values that are ambiguous or cannot be stored are refused."""

import json
from collections.abc import Iterator
from decimal import Decimal, DecimalException
from functools import cache
from math import isfinite
from typing import Any, NoReturn

from flask import request
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser

from chronos_api.http.errors import MalformedBody, NotJson
from chronos_common.errors import Invalid

MAX_DEPTH = 32

#: A double keeps any number of so many digits, except beside the limits of its exponent.
_DIGITS_OF_A_DOUBLE = 15

#: Characters of the body that an error repeats.
_MAX_SHOWN = 40


def read() -> Any:
    """Return the JSON value in the body of the current request."""
    if not (request.mimetype == "application/json" or request.mimetype.endswith("+json")):
        raise NotJson
    content = request.get_data(cache=False)
    if request.content_length is None:
        # Of a body in chunks, Werkzeug returns the part that fits. Only the next read raises.
        request.stream.read(1)
    return parse(content)


def read_object() -> dict[str, Any]:
    """Return the JSON object in the body of the current request."""
    value = read()
    if not isinstance(value, dict):
        raise MalformedBody('The body must be a JSON object, like {"name": ...}.')
    return value


def parse(content: bytes) -> Any:
    """Return the JSON value that ``content`` holds. Raises :class:`MalformedBody`."""
    if not content.strip():
        raise MalformedBody("The body is empty; send a JSON object.")
    try:
        value = json.loads(
            content.decode(),
            object_pairs_hook=_object,
            parse_float=_float,
            parse_int=_int,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise MalformedBody("The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise MalformedBody(
            f"The body is not JSON: {error.msg}, line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError as error:
        raise MalformedBody(_TOO_DEEP) from error
    except ValueError as error:
        # Python refuses to read integers of thousands of digits.
        raise MalformedBody("The body holds a number with too many digits.") from error
    if any(depth > MAX_DEPTH for depth in _depths(value)):
        raise MalformedBody(_TOO_DEEP)
    return value


_TOO_DEEP = f"The body is nested more than {MAX_DEPTH} levels deep."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise MalformedBody(f"The body names {_first_repeated(pairs)!r} twice in one object.")
    return members


def _first_repeated(pairs: list[tuple[str, Any]]) -> str:
    """Return the first name that comes again, shortened. A body of a megabyte may hold it."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            break
        seen.add(name)
    return name[:_MAX_SHOWN]


def _float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise MalformedBody(f"The body holds a number that is too large: {text[:_MAX_SHOWN]}.")
    if not _is_exact(text, value):
        raise MalformedBody(
            f"The body holds a number of more digits than are kept: {text[:_MAX_SHOWN]}; "
            "send it as a string."
        )
    return value


def _is_exact(text: str, value: float) -> bool:
    """Return whether ``value`` is the number of ``text``, if not digit by digit.

    Some writers give the fewest digits that tell a double from its neighbours, some always 17.
    """
    if len(text) <= _DIGITS_OF_A_DOUBLE and "e" not in text and "E" not in text:
        return True
    try:
        return Decimal(text) in {Decimal(repr(value)), Decimal(f"{value:.17g}")}
    except DecimalException:
        # An exponent that even a decimal does not hold.
        return False


def _int(text: str) -> float:
    # An int has no zero below zero, which a float has (RFC 8259, section 6, names it).
    return -0.0 if text == "-0" else int(text)


def _constant(name: str) -> NoReturn:
    raise MalformedBody(f"The body is not JSON: {name} is not a JSON value.")


def _depths(value: Any) -> Iterator[int]:
    """Yield the depth of each list and object in ``value``, without recursion."""
    waiting = [(value, 1)]
    while waiting:
        each, depth = waiting.pop()
        if isinstance(each, dict | list):
            yield depth
            inner = each.values() if isinstance(each, dict) else each
            waiting.extend((item, depth + 1) for item in inner)


@cache
def made(schema: type[Schema]) -> Schema:
    """Return the one instance of ``schema``, because making one takes longer than loading."""
    return schema()


def load(schema: type[Schema], body: dict[str, Any]) -> dict[str, Any]:
    """Return ``body`` as ``schema`` loads it. Raises :class:`Invalid`."""
    try:
        loaded: dict[str, Any] = made(schema).load(body)
    except ValidationError as error:
        raise Invalid(flatten(error.messages)) from error
    return loaded


def flatten(messages: Any, place: str = "") -> dict[str, list[str]]:
    """Return marshmallow's nested messages by field, joined with dots."""
    if isinstance(messages, dict):
        found: dict[str, list[str]] = {}
        for name, inner in messages.items():
            for field, texts in flatten(inner, _join(place, name)).items():
                found.setdefault(field, []).extend(texts)
        return found
    texts = messages if isinstance(messages, list) else [messages]
    return {place or "body": [str(text) for text in texts]}


def _join(place: str, name: object) -> str:
    # webargs names the place ("json", "query"). marshmallow names errors of no field "_schema".
    if name in {"_schema", "json", "query"} and not place:
        return ""
    if name in {"_schema", "value"}:
        return place
    return f"{place}.{name}" if place else str(name)


class Parser(FlaskParser):
    """Reads arguments for marshmallow schemas. Errors become those of Chronos."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": "raise", "query": "raise"}  # noqa: RUF012 - webargs' own type

    def load_json(self, req: Any, schema: Schema) -> Any:  # noqa: ARG002 - webargs' signature
        """Return the body, which must be an object."""
        return read_object()

    def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> NoReturn:
        """Raise the error that names every wrong field."""
        raise Invalid(flatten(error.messages)) from error

"""JSON bodies (RFC 8259). Values that are ambiguous or cannot be stored are refused."""

import json
import re
from collections.abc import Callable
from decimal import Decimal, DecimalException
from functools import cache
from itertools import count
from math import isfinite
from typing import Any, NoReturn, TypeVar

from flask import request
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser

from chronos_api.http.errors import MalformedBody, NotJson
from chronos_common.errors import Invalid

MAX_DEPTH = 32
#: Lists, objects and numbers with a fraction or an exponent. Each takes a microsecond or two.
MAX_PARTS = 50_000
#: Lists cannot be counted while they are read. Some brackets may be those of texts.
_MOST_BRACKETS = 2 * MAX_PARTS

#: A double keeps any number of so many digits, except beside the limits of its exponent.
_DIGITS_OF_A_DOUBLE = 15

#: An exponent of three digits may be beside those limits.
_LARGE_EXPONENT = re.compile(r"[eE][+-]?[0-9]{3}")
_NEGATIVE_ZERO = re.compile(rb"-0(?![0-9.eE])")

T = TypeVar("T")

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


def read_optional() -> dict[str, Any]:
    """Return the JSON object in the body of the current request. Without a body, it is empty."""
    if not request.content_length and not request.get_data(cache=True):
        return {}
    return read_object()


def parse(content: bytes) -> Any:
    """Return the JSON value that ``content`` holds. Raises :class:`MalformedBody`."""
    if not content.strip():
        raise MalformedBody("The body is empty; send a JSON object.")
    if content.count(b"]") > _MOST_BRACKETS:
        raise MalformedBody(f"{_TOO_MANY} Or it is nested more than {MAX_DEPTH} levels deep.")
    counted = _counting()
    try:
        value = json.loads(
            content.decode(),
            object_pairs_hook=counted(_object),
            parse_float=counted(_float),
            # Most bodies can do without, and Python reads whole numbers fast.
            parse_int=counted(_int) if _NEGATIVE_ZERO.search(content) else None,
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
    _check_shape(value)
    return value


def _counting() -> Callable[[Callable[[T], Any]], Callable[[T], Any]]:
    """Return a decorator of functions that may be called :data:`MAX_PARTS` times together."""
    calls = count(1)

    def counted(read: Callable[[T], Any]) -> Callable[[T], Any]:
        def read_one(part: T) -> Any:
            if next(calls) > MAX_PARTS:
                raise MalformedBody(_TOO_MANY)
            return read(part)

        return read_one

    return counted


_TOO_MANY = f"The body has more than {MAX_PARTS} lists, objects and fractions; send less at once."
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
    if len(text) <= _DIGITS_OF_A_DOUBLE and not _LARGE_EXPONENT.search(text):
        return True
    try:
        exact = Decimal(text)
        return exact == Decimal(repr(value)) or exact == Decimal(f"{value:.17g}")
    except DecimalException:
        # An exponent that even a decimal does not hold.
        return False


def _int(text: str) -> float:
    # An int has no zero below zero, which a float has (RFC 8259, section 6, names it).
    return -0.0 if text == "-0" else int(text)


def _constant(name: str) -> NoReturn:
    raise MalformedBody(f"The body is not JSON: {name} is not a JSON value.")


def _check_shape(value: Any) -> None:
    """Raise :class:`MalformedBody` if there are too many lists or levels, without recursion."""
    level, parts = [value], 0
    for _ in range(MAX_DEPTH + 1):
        level = [each for each in level if isinstance(each, dict | list)]
        if not level:
            return
        parts += len(level)
        if parts > MAX_PARTS:
            raise MalformedBody(_TOO_MANY)
        level = [
            item for each in level for item in (each.values() if isinstance(each, dict) else each)
        ]
    raise MalformedBody(_TOO_DEEP)


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

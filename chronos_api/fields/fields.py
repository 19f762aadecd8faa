"""Fields whose values PostgreSQL can store, with errors that name the remedy."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from typing import Any
from unicodedata import normalize

from marshmallow import ValidationError, fields
from marshmallow.validate import Length

from chronos_api.fields import times
from chronos_common.domain.addresses import ascii_address
from chronos_common.domain.texts import name_fault, name_of, stored_fault

#: Ids hold 48 bits of milliseconds. No schedule needs years beyond these.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2500, 1, 1, tzinfo=UTC)

MAX_INTEGER = 2**31 - 1


# Patterns are read by Python and, in the documentation, by ECMA-262 with the flag u. \s, \w and \d
# mean something else there, and it refuses needless escapes: the classes are written out.

#: The characters that str.strip() removes.
_SPACE = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
#: The documented patterns of texts: without NUL, and with one character beside white space.
_STORED = r"^[^\x00]*$"
_SEEN = rf"^[^\x00]*[^\x00{_SPACE}][^\x00]*$"
#: The documented pattern of names: one line, without control characters.
_NAMED = (
    r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*[^\x00-\x20\x7f-\xa0\u2028\u2029]"
    r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
)
# Quotes, comments and address literals are left out: no account has such an address.
_LOCAL_PART = rf'[^@\x00-\x20\x7f{_SPACE}"(),:;<>\[\\\]]+'
# Of ASCII, letters, digits, "-" and "_".
_LABEL = rf"[^\x00-,./:-@\[-\^`\{{-\x7f{_SPACE}]+"
_EMAIL = rf"^{_LOCAL_PART}@{_LABEL}(\.{_LABEL})+$"


def in_any_case(word: str) -> str:
    """Return a pattern of ``word`` in small letters, in capitals or mixed."""
    return "".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else c for c in word)


class Text(fields.Field[str]):
    """A string whose length in characters is bounded.

    ``stripped`` removes white space from both ends. ``composed`` makes a letter and its accent one
    character (NFC), so that a search finds it however it was typed.
    """

    def __init__(
        self,
        *,
        longest: int,
        shortest: int = 0,
        stripped: bool = False,
        composed: bool = False,
        **kwargs: Any,
    ) -> None:
        metadata = kwargs.pop("metadata", {})
        is_seen = stripped and shortest > 0
        bounds = {"type": "string", "maxLength": longest, "pattern": _SEEN if is_seen else _STORED}
        if shortest:
            bounds["minLength"] = shortest
        super().__init__(metadata=bounds | metadata, **kwargs)
        self._longest, self._shortest = longest, shortest
        self._stripped, self._composed = stripped, composed

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("Must be a string.")
        fault = stored_fault(value)
        if fault:
            raise ValidationError(fault)
        text: str = value.strip() if self._stripped else value
        text = normalize("NFC", text) if self._composed else text
        if len(text) > self._longest:
            raise ValidationError(f"At most {self._longest} characters.")
        if len(text) < self._shortest:
            raise ValidationError(
                "Must not be empty."
                if self._shortest == 1
                else f"At least {self._shortest} characters."
            )
        return text


class Name(Text):
    """A name or a tag: one visible line, composed and trimmed.

    Every request uses this field, so that a thing is found by the name that it was given.
    """

    def __init__(self, *, longest: int, **kwargs: Any) -> None:
        metadata = {"pattern": _NAMED} | kwargs.pop("metadata", {})
        super().__init__(longest=longest, shortest=1, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *rest: Any, **more: Any) -> str:
        if isinstance(value, str):
            fault = name_fault(value)
            if fault:
                raise ValidationError(fault)
            value = name_of(value)
        return super()._deserialize(value, *rest, **more)


class EmailAddress(Text):
    """A plain e-mail address. A domain beyond ASCII is kept as it is sent to mail servers."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"format": "email", "pattern": _EMAIL} | kwargs.pop("metadata", {})
        super().__init__(longest=254, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *rest: Any, **more: Any) -> str:
        address: str = super()._deserialize(value, *rest, **more)
        try:
            sent = ascii_address(address)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        if not re.fullmatch(_EMAIL, sent):
            raise ValidationError("Must be an e-mail address like name@example.com.")
        return address if address.isascii() else sent


class EmailToken(Text):
    """A token from an e-mail."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"description": "The token in the e-mail"} | kwargs.pop("metadata", {})
        super().__init__(longest=128, shortest=1, stripped=True, metadata=metadata, **kwargs)


class OneOf(fields.Field[StrEnum]):
    """A member of an enumeration, by its value."""

    def __init__(self, enumeration: type[StrEnum], **kwargs: Any) -> None:
        values = [str(member) for member in enumeration]
        shown = [*values, None] if kwargs.get("allow_none") else values
        # Generators of clients name a type by its title. Without one, they make several types if
        # the field may be null.
        shape = {"title": enumeration.__name__, "type": "string", "enum": shown}
        super().__init__(metadata=shape | kwargs.pop("metadata", {}), **kwargs)
        self._enumeration, self._values = enumeration, values

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> StrEnum:
        if not isinstance(value, str) or value not in self._values:
            raise ValidationError(f"Must be one of {', '.join(self._values)}.")
        return self._enumeration(value)


class Number(fields.Field[float]):
    """A JSON number within bounds."""

    def __init__(self, *, low: float, high: float, **kwargs: Any) -> None:
        bounds = {"type": "number", "minimum": low, "maximum": high}
        super().__init__(metadata=bounds | kwargs.pop("metadata", {}), **kwargs)
        self._low, self._high = low, high

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        # In JSON true is not a number, although in Python it is an int.
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValidationError("Must be a number.")
        if not self._low <= value <= self._high or not isfinite(value):
            raise ValidationError(f"Must be between {self._low:g} and {self._high:g}.")
        return float(value)


class Whole(fields.Field[int]):
    """A whole number within bounds."""

    def __init__(self, *, low: int, high: int = MAX_INTEGER, **kwargs: Any) -> None:
        bounds = {"type": "integer", "minimum": low, "maximum": high}
        super().__init__(metadata=bounds | kwargs.pop("metadata", {}), **kwargs)
        self._low, self._high = low, high

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        number = self._number(value)
        if number is None:
            raise ValidationError("Must be a whole number.")
        if not self._low <= number <= self._high:
            raise ValidationError(f"Must be between {self._low} and {self._high}.")
        return number

    def _number(self, value: Any) -> int | None:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        # JSON does not tell 2.0 from 2 (RFC 8259, section 6).
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return None


class Digits(Whole):
    """A whole number in a query parameter."""

    def _number(self, value: Any) -> int | None:
        digits = isinstance(value, str) and value.isascii() and value.isdigit()
        return int(value[:20]) if digits else None


class Flag(fields.Field[bool]):
    """True or false in a query parameter. Only true sets a condition."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"type": "boolean"} | kwargs.pop("metadata", {})
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if value not in {"true", "false"}:
            raise ValidationError("Must be true or false.")
        return bool(value == "true")


class Instant(fields.Field[datetime]):
    """A moment, as RFC 3339 writes it (see :mod:`chronos_api.fields.times`)."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"type": "string", "format": "date-time"} | kwargs.pop("metadata", {})
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise ValidationError(times.number_fault(value))
        if not isinstance(value, str):
            raise ValidationError("Must be a string like '2026-07-01T09:00:00Z'.")
        try:
            moment = times.parse(value)
        except times.WrongTime as error:
            raise ValidationError(str(error)) from error
        if not EARLIEST <= moment <= LATEST:
            raise ValidationError(f"Must be between the years {EARLIEST.year} and {LATEST.year}.")
        return moment


class BoundedList(fields.List[Any]):
    """A list whose length is checked before its items: very many wrong items cost nothing."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> list[Any]:
        if isinstance(value, list):
            for validate in self.validators:
                if isinstance(validate, Length):
                    validate(value)
        return super()._deserialize(value, *arguments, **options)


class FreeObject(fields.Field[Mapping[str, Any]]):
    """A JSON object of any content."""

    def __init__(self, **kwargs: Any) -> None:
        shape = {"type": "object", "additionalProperties": {}}
        metadata = shape | kwargs.pop("metadata", {})
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        if _is_storable(value):
            return value
        faults: dict[str, list[str]] = {}
        for place, text in _texts(value):
            fault = stored_fault(text)
            if fault:
                faults.setdefault(place, []).append(fault)
        if faults:
            raise ValidationError(faults)
        return value


def _is_storable(value: Mapping[str, Any]) -> bool:
    """Return whether PostgreSQL can store every string in ``value``, or False if it is not clear.

    This takes a tenth of the time of visiting them.
    """
    try:
        return b"\\u0000" not in json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a character
        return False


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield every string in ``value`` with its place, keys included.

    Bodies are bounded in depth, so this recursion is too.
    """
    if isinstance(value, str):
        yield place, value
        return
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, inner in pairs:
        below = f"{place}.{key}" if place else str(key)
        if isinstance(key, str):
            yield below, key
        yield from _texts(inner, below)

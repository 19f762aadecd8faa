"""The fields of payloads: how each kind of field is read, and how JSON Schema describes it.

A kind that only one type of payload has stands beside that type.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from chronos_common.domain.redaction import REDACTED
from chronos_common.domain.texts import is_seen, line_fault, stored_fault

JsonSchema = Mapping[str, Any]

MISSING: Final = "Missing; it is required."


#: Faults after which a payload is not read any further.
MAX_FAULTS: Final = 50


class TooManyFaults(Exception):
    """More faults than these would not be read."""


class Faults:
    """The faults of a payload so far, with each field named as in ``payload.url``."""

    def __init__(self) -> None:
        self.errors: dict[str, list[str]] = {}
        self._count = 0

    def add(self, name: str, message: str) -> None:
        """Note a fault of the field ``name``. Raises :class:`TooManyFaults`."""
        self.errors.setdefault(f"payload.{name}", []).append(message)
        self._count += 1
        if self._count >= MAX_FAULTS:
            raise TooManyFaults


class FieldKind(Protocol):
    """A kind of field: its bounds, as a parser and as JSON Schema."""

    @property
    def schema(self) -> JsonSchema:
        """The JSON Schema of a value."""

    def read(self, value: Any, name: str, faults: Faults) -> Any:
        """Add the faults of a value, and return it as it is used, or None if it is unusable."""


@dataclass(frozen=True, slots=True)
class PayloadField:
    """A field that a user may write.

    ``missing`` is the error if a required field is left out. ``redact`` returns a value without
    its secrets. It returns an object with the same names for an object that holds some.
    """

    name: str
    kind: FieldKind
    required: bool = False
    missing: str = MISSING
    redact: Callable[[Any], Any] | None = None
    description: str | None = None
    examples: Sequence[Any] = ()

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the field."""
        schema = dict(self.kind.schema)
        if not self.required and "enum" not in schema and isinstance(schema.get("type"), str):
            schema["type"] = [schema["type"], "null"]
        if self.description:
            schema["description"] = self.description
        if self.examples:
            schema["examples"] = list(self.examples)
        return schema


def redacted(_: Any) -> str:
    """Return the mark that answers show instead of a value that is secret as a whole."""
    return REDACTED


@dataclass(frozen=True, slots=True)
class String:
    """A text that can be stored, with at least ``shortest`` characters."""

    shortest: int = 0

    @property
    def schema(self) -> JsonSchema:
        """The JSON Schema of a value."""
        return {"type": "string"} | ({"minLength": self.shortest} if self.shortest else {})

    def read(self, value: Any, name: str, faults: Faults) -> str | None:
        """Return the text."""
        if not isinstance(value, str):
            faults.add(name, "Must be a string.")
            return None
        fault = stored_fault(value)
        if fault is None and self.shortest and not is_seen(value):
            fault = "Must not be empty."
        fault = fault or self.fault(value)
        if fault:
            faults.add(name, fault)
            return None
        return value

    def fault(self, value: str) -> str | None:  # noqa: ARG002 - for narrower kinds
        """Return which further rule a text breaks, or None."""
        return None


@dataclass(frozen=True, slots=True)
class OneLine(String):
    """A text of one line, with ``shortest`` to ``longest`` characters."""

    longest: int = field(kw_only=True)

    @property
    def schema(self) -> JsonSchema:
        """The JSON Schema of a value."""
        return {"type": "string", "minLength": self.shortest, "maxLength": self.longest}

    def fault(self, value: str) -> str | None:
        """Return why a text is no such line, or None."""
        if len(value) > self.longest:
            return line_fault(value) or f"At most {self.longest} characters."
        return line_fault(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few names, in small or capital letters."""

    names: Sequence[str]

    @property
    def schema(self) -> JsonSchema:
        """The JSON Schema of a value."""
        return {"type": "string", "enum": list(self.names)}

    def read(self, value: Any, name: str, faults: Faults) -> str | None:
        """Return the name in capital letters."""
        if not isinstance(value, str):
            faults.add(name, "Must be a string.")
            return None
        if value.upper() not in self.names:
            faults.add(name, f"Must be one of {', '.join(self.names)}.")
            return None
        return value.upper()


@dataclass(frozen=True, slots=True)
class JsonValue:
    """A value of one type of JSON, or of any type if there is no ``python_type``."""

    schema: JsonSchema
    python_type: type | None = None
    name_of_type: str = ""

    def read(self, value: Any, name: str, faults: Faults) -> Any:
        """Return the value as it is."""
        if self.python_type is None or isinstance(value, self.python_type):
            return value
        faults.add(name, f"Must be {self.name_of_type}.")
        return None


ANY_JSON: Final = JsonValue({})
FLAG: Final = JsonValue({"type": "boolean"}, bool, "true or false")
ARRAY: Final = JsonValue({"type": "array", "items": {}}, list, "a list")
OBJECT: Final = JsonValue({"type": "object", "additionalProperties": {}}, dict, "an object")

"""The bases of all schemas: of bodies that are read, and of answers that are rendered."""

from collections.abc import Callable, Mapping
from operator import attrgetter, itemgetter
from typing import Any, ClassVar, TypeVar, cast

from marshmallow import RAISE, Schema, fields
from marshmallow.schema import SchemaMeta

from chronos_api.fields.fields import Instant
from chronos_common import clock

_FIELD_MESSAGES = {
    "required": "Missing; it is required.",
    "null": "Must not be null.",
    "invalid": "Must be a list.",
}


class Strict(Schema):
    """A body or a query: unknown fields are refused, and every message names the remedy."""

    class Meta:
        """Refuse unknown fields."""

        unknown = RAISE

    error_messages = {  # noqa: RUF012 - marshmallow's own type
        "unknown": "Unknown field; remove it.",
        "type": "Must be an object.",
    }

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Give the field messages in the words of this API."""
        super().on_bind_field(field_name, field_obj)
        field_obj.error_messages |= _FIELD_MESSAGES
        if isinstance(field_obj, fields.List):
            self.on_bind_field(field_name, field_obj.inner)


Field = TypeVar("Field", bound=fields.Field[Any])
Function = Callable[[Any], Any]

#: The key in a field's metadata of the function that computes it. The documentation skips it.
_COMPUTE = "compute"


def computed(field: Field, compute: Function) -> Field:
    """Return ``field`` with the function that computes its value from the answer's source."""
    field.metadata = {**field.metadata, _COMPUTE: compute}
    return field


class _AnswerMeta(SchemaMeta):
    """Settles how an answer is rendered when its class is made, once its fields are known."""

    def __init__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> None:  # noqa: N805 - of a metaclass
        super().__init__(name, bases, attrs)  # type: ignore[no-untyped-call] # marshmallow's own
        cls._values = {
            field.data_key or name: _value(field, name, cls._reader)
            for name, field in cls._declared_fields.items()
        }

    _reader: Callable[[str], Function]
    _values: Mapping[str, Function]


class Answer(Schema, metaclass=_AnswerMeta):
    """Documents an answer, and renders it from a row or another mapping.

    A field shows the item of its name, the item that its ``attribute`` names, or the value that
    its function computes (see :func:`computed`). The field's type says how the value is written.
    Everything is settled when the class is made, because marshmallow's ``dump`` is slow.
    """

    #: Makes the function that reads a name from the source.
    _reader: ClassVar[Any] = itemgetter

    @classmethod
    def of(cls, source: Any) -> dict[str, Any]:
        """Return the answer about ``source``, ready to be written as JSON."""
        return {name: value(source) for name, value in cls._values.items()}


class ValueAnswer(Answer):
    """An answer that is rendered from the attributes of a value."""

    _reader = attrgetter


class DocumentAnswer(Answer):
    """An answer that is stored as JSON. Fields that the document lacks are left out."""

    @classmethod
    def of(cls, source: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of the document ``source`` that is documented, as it is."""
        return {name: source[name] for name in cls._values if name in source}


def _value(field: fields.Field[Any], name: str, reader: Callable[[str], Function]) -> Function:
    """Return the function that renders a field from the source of its answer."""
    read = field.metadata.get(_COMPUTE) or reader(field.attribute or name)
    write = _writer(field)
    if write is None:
        return read
    if field.allow_none:
        return lambda source: None if (value := read(source)) is None else write(value)
    return lambda source: write(read(source))


def _writer(field: fields.Field[Any]) -> Function | None:
    """Return the function that writes a value of the field, or None if JSON has its type."""
    if isinstance(field, fields.UUID):
        return str
    if isinstance(field, Instant):
        return clock.rfc3339
    if isinstance(field, fields.Nested):
        return cast(type[Answer], field.nested).of
    if isinstance(field, fields.List):
        write = _writer(field.inner)
        return None if write is None else lambda values: [write(value) for value in values]
    return None

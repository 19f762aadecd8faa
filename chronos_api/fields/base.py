"""The bases of all schemas: of bodies that are read, and of answers that are rendered."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

from marshmallow import RAISE, Schema, fields
from marshmallow.schema import SchemaMeta

from chronos_api.fields.fields import Instant
from chronos_common import clock

_FIELD_MESSAGES = {
    "required": "Missing; it is required.",
    "null": "Must not be null.",
    "invalid": "Must be a list.",
}

#: Unknown members that an error looks at. A problem document shows as many errors.
_MOST_UNKNOWN = 50


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
        """Give the field this API's messages."""
        super().on_bind_field(field_name, field_obj)
        field_obj.error_messages |= _FIELD_MESSAGES
        if isinstance(field_obj, fields.List):
            self.on_bind_field(field_name, field_obj.inner)

    def _deserialize(self, data: Any, **options: Any) -> Any:
        """Load ``data``, of whose unknown members the first are enough to refuse it."""
        if isinstance(data, Mapping) and len(data) > len(self.load_fields) + _MOST_UNKNOWN:
            unknown = (name for name in data if name not in self.load_fields)
            kept = set(islice(unknown, _MOST_UNKNOWN))
            data = {k: v for k, v in data.items() if k in kept or k in self.load_fields}
        return super()._deserialize(data, **options)


Field = TypeVar("Field", bound=fields.Field[Any])
Function = Callable[[Any], Any]

#: The key in a field's metadata of the function that computes it. The documentation skips it.
_COMPUTE = "compute"


def computed(field: Field, compute: Function) -> Field:
    """Return ``field`` with the function that computes its value from the answer's source."""
    field.metadata = {**field.metadata, _COMPUTE: compute}
    return field


def _compiled(declared: Mapping[str, fields.Field[Any]], read: str) -> Function:
    """Return the function that renders an answer with these fields.

    It is compiled, as ``dataclasses`` compiles its methods. A page of a hundred executions takes
    a fifth less time than with a function for each field. marshmallow's dump is slower still.
    """
    items: list[str] = []
    names: dict[str, Any] = {}
    for number, (name, field) in enumerate(declared.items()):
        compute, write = field.metadata.get(_COMPUTE), _writer(field)
        names |= {f"compute_{number}": compute, f"write_{number}": write}
        value = f"compute_{number}(source)" if compute else read.format(field.attribute or name)
        if write and field.allow_none:
            value = f"None if (value := {value}) is None else write_{number}(value)"
        elif write:
            value = f"write_{number}({value})"
        items.append(f"{field.data_key or name!r}: {value}")
    exec(f"def render(source): return {{{', '.join(items)}}}", names)  # noqa: S102 - of names in our code
    return cast(Function, names["render"])


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


class _AnswerMeta(SchemaMeta):
    """Compiles the function that renders an answer when its class is made."""

    def __init__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> None:  # noqa: N805 - of a metaclass
        super().__init__(name, bases, attrs)  # type: ignore[no-untyped-call] # marshmallow's own
        if cls._has_every_field:
            for field in cls._declared_fields.values():
                field.required = True
        cls._names = [field.data_key or name for name, field in cls._declared_fields.items()]
        cls._render = _compiled(cls._declared_fields, cls._read)

    _has_every_field: bool
    _read: str
    _names: Sequence[str]
    _render: Function


class Answer(Schema, metaclass=_AnswerMeta):
    """Documents an answer, and renders it from a row or another mapping.

    A field shows the item of its name, the item that its ``attribute`` names, or the value that
    its function computes (see :func:`computed`). The field's type says how the value is written.
    An answer has all of its fields, so they are documented as required.
    """

    _has_every_field = True

    #: The expression that reads a name from the source.
    _read = "source[{!r}]"

    @classmethod
    def of(cls, source: Any) -> dict[str, Any]:
        """Return the answer about ``source``, ready to be written as JSON."""
        answer: dict[str, Any] = cls._render(source)
        return answer


class ValueAnswer(Answer):
    """An answer that is rendered from the attributes of a value."""

    _read = "source.{}"


class DocumentAnswer(Answer):
    """An answer that is stored as JSON. Fields that the document lacks are left out."""

    _has_every_field = False

    @classmethod
    def of(cls, source: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of the document ``source`` that is documented, as it is."""
        return {name: source[name] for name in cls._names if name in source}

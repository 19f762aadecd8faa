"""The declaration of a type of payload, from which all that depends on the type follows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from typing import Any, Generic, TypeVar

from chronos_common.domain.payloads.fields import Faults, PayloadField, TooManyFaults
from chronos_common.errors import Invalid

P = TypeVar("P")


@dataclass(frozen=True)
class PayloadType(Generic[P]):
    """A type of job: its name, its queue, and the fields of its payload.

    ``promise`` is the meaning of ``succeeded``, which promises no more than Chronos knows. With
    ``is_handed_on`` the work goes on elsewhere, so that answers repeat the promise.
    ``build`` is a dataclass. Its defaults are those of fields that are left out.
    ``combine`` checks rules of several fields. It changes the values in place into those that
    ``build`` takes.
    ``destination`` is the field that names the server to which the secrets go.
    """

    name: str
    queue: str
    description: str
    promise: str
    build: Callable[..., P]
    fields: Sequence[PayloadField]
    combine: Callable[[dict[str, Any], Faults], None] | None = None
    destination: str | None = None
    is_handed_on: bool = False

    def parse(self, payload: Mapping[str, Any]) -> P:
        """Return ``payload`` as it is performed. A field that is null counts as left out.

        Raises :class:`Invalid` with every wrong field, each named as in ``payload.url``.
        """
        if not isinstance(payload, Mapping):
            raise Invalid({"payload": ["Must be an object."]})
        faults = Faults()
        try:
            values = self._read(payload, faults)
        except TooManyFaults:
            raise Invalid(faults.errors) from None
        if faults.errors:
            raise Invalid(faults.errors)
        return self.build(**values)

    def _read(self, payload: Mapping[str, Any], faults: Faults) -> dict[str, Any]:
        """Return the values that ``build`` takes, if ``payload`` has no faults."""
        values = dict(self.defaults)
        for name, value in payload.items():
            field = self.by_name.get(name)
            if field is None:
                faults.add(name, "Unknown field; remove it.")
            elif value is not None:
                found = field.kind.read(value, name, faults)
                if found is not None:
                    values[name] = found
        for field in self.required:
            if payload.get(field.name) is None:
                faults.add(field.name, field.missing)
        if self.combine:
            self.combine(values, faults)
        return values

    @cached_property
    def by_name(self) -> Mapping[str, PayloadField]:
        """The fields by their names."""
        return {field.name: field for field in self.fields}

    @cached_property
    def required(self) -> Sequence[PayloadField]:
        """The fields that must be there."""
        return [field for field in self.fields if field.required]

    @cached_property
    def secrets(self) -> Sequence[PayloadField]:
        """The fields that are secret or hold secrets."""
        return [field for field in self.fields if field.redact]

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The defaults of fields, without those that are empty."""
        declared = {each.name: each.default for each in fields(self.build)}  # type: ignore[arg-type] # a dataclass
        return {
            name: value
            for name, value in declared.items()
            if name in self.by_name and value is not MISSING and value not in {None, "", ()}
        }

    @property
    def schema(self) -> dict[str, Any]:
        """The payload as JSON Schema."""
        properties = {field.name: field.schema for field in self.fields}
        for name, value in self.defaults.items():
            properties[name]["default"] = value
        return {
            "description": self.description,
            "type": "object",
            "properties": properties,
            "required": [field.name for field in self.required],
            "additionalProperties": False,
        }

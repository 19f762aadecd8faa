"""A definition in the form in which an apply compares it: as a user writes it, without secrets.

A digest stands for the payload's secrets, so that another secret is a difference too.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

from chronos_api.jobs.definition import definitions, secrets
from chronos_common import clock
from chronos_common.domain.jobs import JobDefinition, is_same_json
from chronos_common.domain.statuses import JobStatus
from chronos_common.storage.jobs import columns

#: A value that is longer than this, as JSON, is left out of a difference.
MAX_VALUE_LENGTH = 300

#: Differences of one job that are shown.
MAX_DIFFERENCES = 30

LEFT_OUT = "[too long]"
_SECRETS = "payload"


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of two definitions. Of a payload, the fields are compared one by one."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class NormalForm:
    """A definition's fields without secrets, and the digest of its whole payload.

    ``status`` is only there if a file gives it: a pause is a state, and no definition.
    """

    fields: Mapping[str, Any]
    payload_sha256: str
    status: str | None = None

    @classmethod
    def of_row(cls, row: Mapping[Any, Any]) -> Self:
        """Return the form of a stored job, with its status."""
        fields = definitions.fields_of(row, time=clock.rfc3339)  # type: ignore[arg-type] # the columns are enough
        payload = fields.pop("payload")
        del fields["job_type"]
        status = fields.pop("status")
        fields["payload"] = secrets.shown(row["type"], payload)
        written = json.loads(json.dumps(fields))
        return cls(written, sha256(json.dumps(payload).encode()).hexdigest(), status)

    @classmethod
    def of_definition(cls, definition: JobDefinition, status: str | None) -> Self:
        """Return the form of a definition that is not stored yet."""
        row = columns.of_job(definition) | columns.of_schedule(definition)
        return cls.of_row(row | {"status": status, "payload": dict(definition.payload)})

    @classmethod
    def of_applied(cls, stored: Mapping[str, Any]) -> Self:
        """Return the form that :meth:`stored` made. Fields of a later release have no value."""
        return cls(stored["fields"], stored["payload_sha256"], stored.get("status"))

    def stored(self) -> dict[str, Any]:
        """Return the form as JSON."""
        return {
            "fields": self.fields,
            "payload_sha256": self.payload_sha256,
            "status": self.status,
        }

    def digest(self) -> str:
        """Return a text that another definition does not have."""
        return sha256(json.dumps(self.stored(), sort_keys=True).encode()).hexdigest()

    def until(self, after: Self) -> list[Difference]:
        """Return the differences from this form to ``after``.

        A status counts if both give one. A job that is completed has followed its schedule to
        the end, so it need be neither active nor paused.
        """
        one, other = _flat(self.fields), _flat(after.fields)
        # A release may add fields. An older form says nothing of them.
        names = [name for name in {**one, **other} if _is_comparable(name, self, after)]
        found = [
            Difference(name, one.get(name), other.get(name))
            for name in names
            if (name in one) != (name in other) or not is_same_json(one.get(name), other.get(name))
        ]
        if not any(_is_of_payload(each.field) for each in found) and (
            self.payload_sha256 != after.payload_sha256
        ):
            found.append(Difference(_SECRETS, "[redacted]", "[redacted]"))
        if self._has_other_status(after):
            found.append(Difference("status", self.status, after.status))
        return found

    def _has_other_status(self, after: Self) -> bool:
        statuses = {self.status, after.status}
        return len(statuses - {None}) > 1 and JobStatus.COMPLETED not in statuses


def _is_of_payload(name: str) -> bool:
    return name.partition(".")[0] == _SECRETS


def _is_comparable(name: str, one: NormalForm, other: NormalForm) -> bool:
    return _is_of_payload(name) or (name in one.fields and name in other.fields)


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in fields.items() if name != _SECRETS}
    return flat | {f"{_SECRETS}.{name}": value for name, value in fields[_SECRETS].items()}


def bounded(differences: Sequence[Difference]) -> list[Difference]:
    """Return some of the differences, without values that are too long to show."""
    return [
        Difference(each.field, _short(each.before), _short(each.after))
        for each in differences[:MAX_DIFFERENCES]
    ]


def _short(value: Any) -> Any:
    return value if len(json.dumps(value)) <= MAX_VALUE_LENGTH else LEFT_OUT

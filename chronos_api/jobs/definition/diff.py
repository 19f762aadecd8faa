"""What a change changed: the fields that differ, before and after, without secrets."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping

from chronos_api.jobs.definition import definitions, secrets
from chronos_common.domain.same_json import is_same

#: A value that is longer than this, as JSON, is left out.
MAX_VALUE_LENGTH = 4096

LEFT_OUT = "[too long]"


def between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that differ, as they were and as they are; both hold no secrets."""
    names = sorted(
        name
        for name in before.keys() | after.keys()
        if not is_same(before.get(name), after.get(name))
    )
    return {
        "before": {name: _bounded(before.get(name)) for name in names},
        "after": {name: _bounded(after.get(name)) for name in names},
    }


def between_jobs(before: RowMapping, after: RowMapping | None) -> dict[str, Any]:
    """Return what differs between two states of a job; None is the job that was removed."""
    name = {"name": before["name"]}
    if after is not None:
        return name | between(_shown(before), _shown(after))
    # Only what somebody set: the rest would be a column of nothing.
    fields = {name: value for name, value in _shown(before).items() if value is not None}
    return name | {"before": {name: _bounded(value) for name, value in fields.items()}}


def _shown(row: RowMapping) -> dict[str, Any]:
    return definitions.fields_of(row) | {
        "payload": secrets.shown(row["type"], row["payload"]),
        "status": row["status"],
    }


def _bounded(value: Any) -> Any:
    return value if len(json.dumps(value, default=str)) <= MAX_VALUE_LENGTH else LEFT_OUT

"""Details of a change in the audit log: the fields that differ, before and after.

The log holds no secrets, and no value that would make an entry long.
"""

import json
from collections.abc import Mapping
from typing import Any

from chronos_common.domain.jobs import is_same_json

#: A value that is longer than this, as JSON, is left out.
MAX_VALUE_LENGTH = 4096

LEFT_OUT = "[too long]"


def between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that differ, before and after. Neither state may hold secrets."""
    names = sorted(
        name
        for name in before.keys() | after.keys()
        if not is_same_json(before.get(name), after.get(name))
    )
    return {
        "before": bounded({name: before.get(name) for name in names}),
        "after": bounded({name: after.get(name) for name in names}),
    }


def bounded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``fields``, without values that are too long for the log."""
    return {
        name: value if len(json.dumps(value, default=str)) <= MAX_VALUE_LENGTH else LEFT_OUT
        for name, value in fields.items()
    }

"""An execution's attempts as answers show them, within bounds.

A history of fifty attempts, each with all that it sent and received, would be tens of megabytes.
The last attempt is the one that people look at, so it comes whole. Those before it are shortened,
and each can be asked for by its number.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chronos_common.errors import NotFound

Attempt = Mapping[str, Any]

#: Characters of a text, and bytes of anything else, that an attempt may hold if it is shortened.
MAX_SHORT = 1000
#: An earlier attempt that is longer than this, as JSON, is shortened.
MAX_EARLIER_BYTES = 8 << 10
#: A whole attempt is shorter than this, unless its job sends more than most requests may hold.
MAX_WHOLE_BYTES = 2 << 20


class AttemptNotFound(NotFound):
    """The execution has no record of an attempt of this number."""


def shown(attempts: Sequence[Attempt], number: int | None = None) -> list[Attempt]:
    """Return all attempts. Only the last one is whole.

    With a ``number``, return only that attempt, whole.

    Raises :class:`AttemptNotFound`.
    """
    if number is not None:
        return [_numbered(attempts, number)]
    earlier = [within(each, MAX_EARLIER_BYTES) for each in attempts[:-1]]
    return earlier + [within(each, MAX_WHOLE_BYTES) for each in attempts[-1:]]


def _numbered(attempts: Sequence[Attempt], number: int) -> Attempt:
    for each in attempts:
        if each["number"] == number:
            return within(each, MAX_WHOLE_BYTES)
    raise AttemptNotFound


def within(attempt: Attempt, room: int) -> Attempt:
    """Return the attempt, shortened and marked so if it takes more than ``room`` bytes of JSON."""
    if _size(attempt) <= room:
        return attempt
    short = _short(attempt, ("request", "response")) | {"shortened": True}
    for name in ("request", "response"):
        if attempt.get(name):
            short[name] = _short(attempt[name])
    if len((attempt.get("response") or {}).get("body") or "") > MAX_SHORT:
        short["response"]["body_truncated"] = True
    return short


def _short(values: Mapping[str, Any], besides: Sequence[str] = ()) -> dict[str, Any]:
    """Return the beginning of each text, and the other values that are short."""
    return {
        name: value[:MAX_SHORT] if isinstance(value, str) else value
        for name, value in values.items()
        if name not in besides and (isinstance(value, str) or _size(value) <= MAX_SHORT)
    }


def _size(value: Any) -> int:
    return len(json.dumps(value))

"""Cursors: places where a list goes on. Clients do not look into them.

A cursor is the encoded id of the last item, after its sort key if the list is not sorted by age.
With a ``~`` in front, it stands for the items before that one, in lists that go back.
"""

import base64
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from chronos_common.domain.texts import stored_fault
from chronos_common.errors import Invalid
from chronos_common.storage.jobs.lists import Position

#: No character of an encoded place, and none that an address escapes.
_BACK = "~"

_TIMES = frozenset({"updated_at", "next_run_at"})


def is_back(cursor: str | None) -> bool:
    """Return whether a cursor stands for the items before its place."""
    return cursor is not None and cursor.startswith(_BACK)


def back(cursor: str) -> str:
    """Return the cursor of the items before a place, by that of the items behind it."""
    return f"{_BACK}{cursor}"


def place_of(cursor: str | None) -> str | None:
    """Return the cursor with the same place that stands for the items behind it."""
    return None if cursor is None else cursor.removeprefix(_BACK)


def write(identifier: UUID) -> str:
    """Return the cursor that goes on behind ``identifier``."""
    return _written(identifier.bytes)


def read(cursor: str | None) -> UUID | None:
    """Return the id behind which a cursor goes on. Raises :class:`Invalid`."""
    if cursor is None:
        return None
    try:
        # Of another length these are not 16 bytes, which UUID refuses.
        return UUID(bytes=_read(cursor))
    except ValueError as error:
        raise _strange() from error


def write_position(position: Position, sort: str) -> str:
    """Return the cursor that goes on behind ``position`` of a list sorted by ``sort``."""
    if sort == "created_at":
        return write(position.id)
    key = position.key.isoformat() if isinstance(position.key, datetime) else position.key
    return _written(json.dumps([sort, position.id.hex, key], ensure_ascii=False).encode())


def read_position(cursor: str | None, sort: str) -> Position | None:
    """Return where a cursor of a list sorted by ``sort`` goes on. Raises :class:`Invalid`."""
    if cursor is None:
        return None
    if sort == "created_at":
        identifier = read(cursor)
        return None if identifier is None else Position(None, identifier)
    try:
        of_sort, identifier_hex, key = json.loads(_read(cursor))
        if of_sort != sort:
            raise Invalid({"cursor": [f"Goes with sort={of_sort}; keep the sort that it has."]})
        return Position(_key(key, sort), UUID(hex=identifier_hex))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _strange() from error


def _key(key: Any, sort: str) -> Any:
    if key is None and sort == "next_run_at":
        return None
    if not isinstance(key, str) or stored_fault(key):
        raise ValueError("not a sort key")
    if sort not in _TIMES:
        return key
    moment = datetime.fromisoformat(key)
    if moment.tzinfo is None:
        raise ValueError("a time without its offset")
    return moment


def _written(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _read(cursor: str) -> bytes:
    padding = "=" * (-len(cursor) % 4)
    return base64.b64decode(f"{cursor}{padding}", altchars=b"-_", validate=True)


def _strange() -> Invalid:
    return Invalid({"cursor": ["Must be the next_cursor or prev_cursor of another page."]})

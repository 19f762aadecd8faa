"""Reads PostgreSQL's identifiers without checking again that they are well formed.

An execution takes eight of them. ``UUID(text)`` takes more than twice as long as this.
"""

from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from psycopg2 import extensions
from sqlalchemy import Engine, event

from chronos_common import ids

# A type's number in PostgreSQL (its catalog's file pg_type.dat).
_UUID: Final = 2950
_UUID_ARRAY: Final = 2951


def _parsed(text: Any, _cursor: object) -> UUID | None:
    if text is None:
        return None
    return ids.of_int(int(text.replace("-", ""), 16))


#: Reads an identifier that thousands of rows have in common. Statements cast it to text.
shared = lru_cache(maxsize=4096)(UUID)

_ONE: Final = extensions.new_type((_UUID,), "UUID", _parsed)
_MANY: Final = extensions.new_array_type((_UUID_ARRAY,), "UUID[]", _ONE)


def follow(engine: Engine) -> None:
    """Read identifiers on the connections of ``engine`` in this way."""
    event.listen(engine, "connect", _register)


def _register(connection: Any, *_: object) -> None:
    # SQLAlchemy has just registered psycopg2's own for this connection.
    extensions.register_type(_ONE, connection)
    extensions.register_type(_MANY, connection)

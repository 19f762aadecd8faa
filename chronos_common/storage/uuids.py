"""How PostgreSQL's identifiers reach Python: without checking again what PostgreSQL has checked.

An execution takes eight of them. ``UUID(text)`` takes more than twice as long as this.
"""

from typing import Any, Final
from uuid import UUID, SafeUUID

from psycopg2 import extensions
from sqlalchemy import Engine, event

# A type's number in PostgreSQL (its catalog's file pg_type.dat).
_UUID: Final = 2950
_UUID_ARRAY: Final = 2951

# A UUID refuses to be changed, but not by its own slots.
_SLOTS: Any = vars(UUID)
_set_int = _SLOTS["int"].__set__
_set_is_safe = _SLOTS["is_safe"].__set__


def _parsed(text: Any, _cursor: object) -> UUID | None:
    if text is None:
        return None
    made = object.__new__(UUID)
    _set_int(made, int(text.replace("-", ""), 16))
    _set_is_safe(made, SafeUUID.unknown)
    return made


_ONE: Final = extensions.new_type((_UUID,), "UUID", _parsed)
_MANY: Final = extensions.new_array_type((_UUID_ARRAY,), "UUID[]", _ONE)


def follow(engine: Engine) -> None:
    """Read the identifiers so that come by the connections of ``engine``."""
    event.listen(engine, "connect", _register)


def _register(connection: Any, *_: object) -> None:
    # SQLAlchemy has just registered psycopg2's own for this connection.
    extensions.register_type(_ONE, connection)
    extensions.register_type(_MANY, connection)

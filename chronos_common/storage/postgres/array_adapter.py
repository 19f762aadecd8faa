"""How Python lists reach PostgreSQL: as one array literal instead of one expression an element.

psycopg2 writes ``ARRAY['…'::timestamptz, …]``, which PostgreSQL parses, types and folds element by
element. A literal (``'{…}'``, PostgreSQL manual, section 8.15.2) is read by the type's own input
function. Statements name the type: ``CAST(:ids AS uuid[])``.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from psycopg2.extensions import QuotedString, register_adapter


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _moment(moment: datetime) -> str:
    # In a zone, the two instants of an hour that comes twice are equal, so a cache mixes them up.
    return _instant(moment.astimezone(UTC))


# Most rows of a statement share their instants.
@lru_cache(maxsize=1024)
def _instant(moment: datetime) -> str:
    return '"' + moment.isoformat() + '"'


_WRITERS: dict[type, Callable[[Any], str]] = {
    UUID: "{0.hex}".format,
    str: _quoted,
    datetime: _moment,
    int: int.__repr__,
    float: float.__repr__,
    bool: lambda value: "t" if value else "f",
    type(None): lambda _: "NULL",
}


def literal(values: list[Any]) -> str:
    """Return ``values`` (all of one type, or None) as PostgreSQL writes an array.

    Raises ``KeyError`` for a type that no statement here uses.
    """
    kinds = set(map(type, values))
    if len(kinds) == 1:
        return "{" + ",".join(map(_writer(kinds.pop()), values)) + "}"
    return "{" + ",".join([_writer(type(value))(value) for value in values]) + "}"


def _writer(kind: type) -> Callable[[Any], str]:
    try:
        return _WRITERS[kind]
    except KeyError:
        if not issubclass(kind, StrEnum):
            raise
        return _WRITERS.setdefault(kind, _quoted)


class _Array:
    """Adapts a list by the protocol of psycopg2's manual, "Adapting new types"."""

    def __init__(self, values: list[Any]) -> None:
        self._quoted = QuotedString(literal(values))

    def prepare(self, connection: Any) -> None:
        self._quoted.prepare(connection)

    def getquoted(self) -> bytes:
        quoted: bytes = self._quoted.getquoted()
        return quoted


def columns(rows: Sequence[NamedTuple]) -> dict[str, list[Any]]:
    """Return the fields of some rows as the lists that ``unnest`` makes rows of again."""
    return dict(zip(rows[0]._fields, map(list, zip(*rows, strict=True)), strict=True))


def register() -> None:
    """Make psycopg2 write every list as such a literal."""
    register_adapter(list, _Array)

"""Lazy sequences: a list of the API, page by page, and a thing that is read until it is over.

Items of a list are found by the beginnings of their ids, too.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from chronos_client import documents
from chronos_client.errors import WaitTimedOut
from chronos_client.transport import Transport

#: The most that the API gives at once.
PAGE_ITEMS = 100

#: How often a thing that goes on is looked at.
_LOOK_SECONDS = 1.0

#: Items that are looked at to find one by a beginning, and those that an error names.
LOOKED_AT = 1000
NAMED = 10

_DIGITS = 32
#: Digits of the beginning of an id at least, and those of the millisecond in it.
LEAST_DIGITS = 8
_DIGITS_OF_TIME = 12
_HEXADECIMAL = frozenset("0123456789abcdef")
#: The API knows no later instants.
_LATEST_MILLISECOND = int(datetime(2499, 12, 31, tzinfo=UTC).timestamp()) * 1000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class IdBeginning:
    """The beginning of an id. Its first twelve digits are a millisecond, so ids sort by time.

    Eight digits are about a minute.
    """

    digits: str

    @classmethod
    def read(cls, reference: str) -> Self | None:
        """Return the beginning that a person typed, or None if it can be none of an id."""
        digits = reference.replace("-", "").lower()
        is_one = LEAST_DIGITS <= len(digits) <= _DIGITS and set(digits) <= _HEXADECIMAL
        return cls(digits) if is_one else None

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole id."""
        return len(self.digits) == _DIGITS

    @property
    def first(self) -> datetime:
        """The earliest instant of an id that begins so."""
        return self._instant("0")

    @property
    def last(self) -> datetime:
        """The latest one."""
        return self._instant("f")

    def begins(self, identifier: str) -> bool:
        """Return whether an id begins so."""
        return identifier.replace("-", "").startswith(self.digits)

    def _instant(self, fill: str) -> datetime:
        milliseconds = int(self.digits[:_DIGITS_OF_TIME].ljust(_DIGITS_OF_TIME, fill), 16)
        return datetime.fromtimestamp(min(milliseconds, _LATEST_MILLISECOND) / 1000, UTC)


def items(
    transport: Transport,
    path: str,
    kind: type[_T],
    query: Mapping[str, Any],
    *,
    page_items: int = PAGE_ITEMS,
) -> Iterator[_T]:
    """Yield every item. A page is asked for when the one before it is used up.

    A page may be empty although there is a next one: its filter looks at a bounded number of rows.
    """
    cursor = None
    while True:
        page = transport.send(
            "GET", path, query={**query, "limit": page_items, "cursor": cursor}
        ).content
        for document in page["items"]:
            yield documents.read(kind, document)
        cursor = page["next_cursor"]
        if cursor is None:
            return


def total(transport: Transport, path: str, query: Mapping[str, Any]) -> tuple[int, bool]:
    """Return how many items there are, and whether that is exact. The API stops at 10,000."""
    page = transport.send("GET", path, query={**query, "limit": 1}).content
    return page["total"], page.get("total_is_exact", True)


def watch(
    read: Callable[[], _T],
    is_over: Callable[[_T], bool],
    *,
    name: str,
    timeout: float,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[_T]:
    """Yield the thing that ``read`` returns every second, the last time when it is over.

    Raises :class:`WaitTimedOut` with its ``name`` after ``timeout`` seconds.
    """
    ends = monotonic() + timeout
    while True:
        found = read()
        yield found
        if is_over(found):
            return
        if monotonic() > ends:
            raise WaitTimedOut(f"{name} has not ended after {timeout:g} s.")
        sleep(_LOOK_SECONDS)

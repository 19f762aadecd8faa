"""Lazy sequences: a list of the API, page by page, and a thing that is read until it is over."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from chronos_client import documents
from chronos_client.errors import WaitTimedOut
from chronos_client.transport import Transport

#: The most that the API gives at once.
PAGE_ITEMS = 100

#: How often a thing that goes on is looked at.
_LOOK_SECONDS = 1.0

_T = TypeVar("_T")


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

"""Lists of the API, page by page by cursor, as one lazy sequence."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from chronos_client import documents
from chronos_client.transport import Transport

#: The most that the API gives at once.
PAGE_ITEMS = 100

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

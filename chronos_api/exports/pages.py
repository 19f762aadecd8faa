"""Pages of an export: each is read by a statement of its own, and written before the next one.

So an export of any length takes the memory of a page, and holds no snapshot of the database.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from chronos_api.fields.base import Answer

#: Rows of a page.
PAGE_SIZE = 200

#: The kind of some rows, and their answers.
Page = tuple[str, Sequence[Mapping[str, Any]]]
Pages = Iterator[Page]

Row = Mapping[Any, Any]


def walk(
    kind: str,
    answer: type[Answer],
    read: Callable[[UUID | None], Sequence[Row]],
) -> Pages:
    """Yield the answers of all rows of one kind.

    ``read`` returns the rows that follow an id, or the first ones for None: :data:`PAGE_SIZE` of
    them, or fewer at the end.
    """
    after = None
    while True:
        rows = read(after)
        if rows:
            yield kind, [answer.of(row) for row in rows]
        if len(rows) < PAGE_SIZE:
            return
        after = rows[-1]["id"]


def lines_of(pages: Pages) -> Iterator[bytes]:
    """Yield the pages as NDJSON."""
    for kind, rows in pages:
        yield "".join(
            f"{json.dumps({'kind': kind, **each}, ensure_ascii=False)}\n" for each in rows
        ).encode()

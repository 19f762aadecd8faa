"""Pages of lists that are sorted by id, which is by age, and the lengths of lists.

The lists of jobs and of executions, which may have a million rows, have statements of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, select

#: Counting further would read the whole list.
MAX_COUNT = 10_000


@dataclass(frozen=True, slots=True)
class Count:
    """The number of items that were counted. If not ``is_exact``, there may be more."""

    number: int
    is_exact: bool


def counted_to(most: int, number: int) -> Count:
    """Return the count of a list that was counted to ``most`` and one more."""
    return Count(min(number, most), is_exact=number <= most)


def page(
    connection: Connection,
    query: Select[Any],
    key: ColumnElement[UUID],
    *,
    after: UUID | None,
    offset: int,
    limit: int,
    ascending: bool = False,
) -> tuple[Sequence[RowMapping], int]:
    """Return a part of the list of ``query``, the latest first, and the length of the list.

    ``key`` is the id that the list is sorted by. The part begins ``offset`` rows behind the id
    ``after``, or behind the beginning of the list. The length is at most :data:`MAX_COUNT`.
    """
    counted = query.with_only_columns(key).limit(MAX_COUNT).subquery()
    total = connection.execute(select(func.count()).select_from(counted)).scalar_one()
    if after is not None:
        query = query.where(key > after if ascending else key < after)
    order = key.asc() if ascending else key.desc()
    part = query.order_by(order).offset(offset).limit(limit)
    return connection.execute(part).mappings().all(), total

"""Pages of lists: the query that asks for one, the page itself, and its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar, cast
from uuid import UUID

from marshmallow import ValidationError, fields, validates_schema
from sqlalchemy import RowMapping

from chronos_api.fields import cursors
from chronos_api.fields.base import Answer, Strict
from chronos_api.fields.fields import Digits, Instant, Text
from chronos_common import ids
from chronos_common.storage.jobs.lists import Position

MAX_LIMIT = 100
#: PostgreSQL reads every row that a page skips. A cursor goes further without that.
MAX_DEPTH = 10_000


class PageQuery(Strict):
    """Where in a list to start, and how many items to answer.

    The other fields of a list's query are the ``conditions`` of its filter, a dataclass: each
    has the name of the condition that it sets.
    """

    conditions: ClassVar[type[Any] | None] = None

    page = Digits(
        low=1,
        high=MAX_DEPTH,
        load_default=1,
        metadata={"description": f"Which page, from 1. page * limit is at most {MAX_DEPTH}"},
    )
    limit = Digits(
        low=1,
        high=MAX_LIMIT,
        load_default=20,
        metadata={"description": "How many items a page has at most"},
    )
    cursor = Text(
        longest=100, metadata={"description": "next_cursor of the page before, instead of page"}
    )

    @validates_schema
    def _check_depth(self, data: dict[str, int], **_: object) -> None:
        if data["page"] * data["limit"] > MAX_DEPTH:
            raise ValidationError(
                f"page * limit may be at most {MAX_DEPTH}; go on with cursor=<next_cursor>.",
                "page",
            )
        if "cursor" in data and data["page"] > 1:
            raise ValidationError("Give either page or cursor.", "page")


class StableQuery(PageQuery):
    """Where to start in a list as it was at one instant."""

    cursor = Text(
        longest=1500,
        metadata={"description": "next_cursor or prev_cursor of another page, instead of page"},
    )
    as_of = Instant(
        metadata={
            "description": "as_of of the first page: hides newer items, so that pages by "
            "number do not shift. A cursor needs it no more than it needs page"
        }
    )


Filter = TypeVar("Filter")


def filter_of(kind: type[Filter], query: Mapping[str, Any], **given: Any) -> Filter:
    """Return the filter that ``query`` asks for, with the conditions that are ``given``."""
    names = (each.name for each in dataclass_fields(cast(Any, kind)))
    return kind(**({name: query.get(name) for name in names} | given))


def paging_of(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a list that ``query`` asks for, as the arguments of a service."""
    after = cursors.read(query.get("cursor"))
    return {"after": after, "page": query["page"], "limit": query["limit"]}


#: The fields of a long list's page beside its items.
STABLE: Mapping[str, fields.Field[Any]] = {
    "total_is_exact": fields.Boolean(
        metadata={"description": "false if there are more than total: counting stops at 10,000"}
    ),
    "as_of": Instant(metadata={"description": "Send this along with page=2 and so on"}),
    "prev_cursor": fields.String(
        allow_none=True, metadata={"description": "Of the page before. null on the first page"}
    ),
}


def page_of(
    item: type[Answer], name: str, more: Mapping[str, fields.Field[Any]] | None = None
) -> type[Answer]:
    """Return the answer of a page of ``item``, called ``name`` in the documentation.

    It is rendered from a :meth:`Page.source`.
    """
    made = Answer.from_dict(
        {
            "items": fields.List(fields.Nested(item)),
            "total": fields.Integer(),
            "page": fields.Integer(),
            "limit": fields.Integer(),
            "next_cursor": fields.String(allow_none=True),
            **(more or {}),
        },
        name=name,
    )
    return cast(type[Answer], made)


Place = TypeVar("Place", UUID, Position)


@dataclass(frozen=True, slots=True)
class Page(Generic[Place]):
    """A part of a list. ``last`` is the place where the next page begins, if there is one.

    ``first`` is the place before which the page before ends, if there may be one. The list has
    more than ``total`` items unless ``total_is_exact``.
    """

    rows: Sequence[Any]
    total: int
    last: Place | None
    total_is_exact: bool = True
    first: Place | None = None

    def source(self, query: Mapping[str, Any], *, now: datetime | None = None) -> dict[str, Any]:
        """Return the source of the page's answer.

        The page of a stable list needs the instant of its ``query``.
        """
        source = {
            "items": self.rows,
            "total": self.total,
            "page": query["page"],
            "limit": query["limit"],
            "next_cursor": _cursor(self.last, query),
        }
        if now is not None:
            before = _cursor(self.first, query)
            source |= {
                "total_is_exact": self.total_is_exact,
                "as_of": self._as_of(query, now),
                "prev_cursor": None if before is None else cursors.back(before),
            }
        return source

    def _as_of(self, query: Mapping[str, Any], now: datetime) -> datetime:
        """Return the instant that keeps the next pages in step: no item here is younger."""
        newest = max((ids.moment_of(row["id"]) for row in self.rows), default=now)
        return query.get("as_of") or max(now, newest)


def _cursor(last: UUID | Position | None, query: Mapping[str, Any]) -> str | None:
    if last is None:
        return None
    if isinstance(last, Position):
        return cursors.write_position(last, query["sort"].removeprefix("-"))
    return cursors.write(last)


def turned(
    rows: Sequence[Any],
    place: Callable[[Any], Place],
    *,
    last: Place | None,
    is_back: bool,
    is_first: bool,
) -> tuple[Sequence[Any], Place | None, Place | None]:
    """Return the rows of a walk in the order of the list, and the places of their two neighbours.

    ``place`` returns that of a row, and ``last`` is where the walk goes on. A walk that
    ``is_back`` began at the end of the page. Nothing comes before rows that are the ``is_first``.
    """
    begin = place(rows[0]) if rows and not is_first else None
    return (rows[::-1], last, begin) if is_back else (rows, begin, last)


def read_page(
    query: Callable[..., tuple[Sequence[RowMapping], int]], *, page: int, limit: int
) -> Page[UUID]:
    """Return the page with that number. ``query`` takes ``offset`` and ``limit``.

    It returns rows and the number of all. One row more than ``limit`` means another page.
    """
    rows, total = query(offset=(page - 1) * limit, limit=limit + 1)
    shown = rows[:limit]
    return Page(shown, total, shown[-1]["id"] if len(rows) > limit else None)

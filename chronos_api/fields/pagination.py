"""Pages of lists: where one starts, and what it answers."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from chronos_api.fields.base import Strict
from chronos_api.fields.fields import Digits, Instant, Text

MAX_LIMIT = 100
#: PostgreSQL walks over every row that is skipped; past this, a cursor goes on without that.
MAX_DEPTH = 10_000


class PageQuery(Strict):
    """Where in a list to start, and how many items to answer."""

    page = Digits(
        low=1,
        high=MAX_DEPTH,
        load_default=1,
        metadata={
            "description": f"Which page, from 1; page * limit is at most {MAX_DEPTH}",
            "default": 1,
        },
    )
    limit = Digits(
        low=1,
        high=MAX_LIMIT,
        load_default=20,
        metadata={"description": "How many items a page has at most", "default": 20},
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
    """Where in a list to start, of what there was at one instant."""

    cursor = Text(
        longest=1500, metadata={"description": "next_cursor of the page before, instead of page"}
    )
    as_of = Instant(
        metadata={
            "description": "as_of of the first page: hides what came in since, so that pages by "
            "number do not shift. A cursor needs it no more than it needs page"
        }
    )


#: What a page of a long list says beside its items.
STABLE: Mapping[str, fields.Field[Any]] = {
    "total_is_exact": fields.Boolean(
        required=True,
        metadata={"description": "false if there are more than total: counting stops at 10,000"},
    ),
    "as_of": Instant(
        required=True, metadata={"description": "Send this along with page=2 and so on"}
    ),
}


def page_of(
    item: type[Schema], name: str, more: Mapping[str, fields.Field[Any]] | None = None
) -> type[Schema]:
    """Return the schema of a page of ``item``, called ``name`` in the documentation."""
    return Schema.from_dict(
        {
            "items": fields.List(fields.Nested(item), required=True),
            "total": fields.Integer(required=True),
            "page": fields.Integer(required=True),
            "limit": fields.Integer(required=True),
            "next_cursor": fields.String(required=True, allow_none=True),
            **(more or {}),
        },
        name=name,
    )

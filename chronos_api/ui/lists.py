"""The lists of pages: their filters stand in the address, as the API has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import request
from marshmallow import Schema, ValidationError

from chronos_api.http import json_body

#: Rows of a page, unless the address says otherwise.
LIMIT = "50"

#: The parts of a query that say which part of a list is shown.
_POSITIONS = frozenset({"cursor", "as_of", "page"})
_PLACES = _POSITIONS | {"sort", "limit"}


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The query of a list: as it is ``given``, and as its schema loads the right parts of it."""

    given: Mapping[str, str]
    loaded: dict[str, Any]
    errors: Mapping[str, list[str]]

    @property
    def view(self) -> str:
        """Return the query of an address that shows this list from its beginning."""
        return urlencode(filters_in(self.given))

    @property
    def filters(self) -> list[str]:
        """Return the names of the filters that are set."""
        return sorted(self.given.keys() - _PLACES)


def filters_in(given: Mapping[str, str]) -> dict[str, str]:
    """Return a list's query without the part of the list that is shown."""
    return {name: value for name, value in given.items() if name not in _POSITIONS}


def query_of(schema: type[Schema], *, is_paged: bool = True) -> ListQuery:
    """Return the query of the current address. An empty input of a form sets nothing."""
    whole = {"limit": LIMIT} if is_paged else {}
    given = {name: value for name, value in request.args.items() if value}
    made = json_body.made(schema)
    # Links repeat these. The router takes other names as its own, like "_scheme".
    known = {field.data_key or name for name, field in made.fields.items()}
    shown = {name: value for name, value in given.items() if name in known}
    try:
        return ListQuery(shown, made.load({**whole, **given}), {})
    except ValidationError as error:
        errors = json_body.flatten(error.messages)
    # An error may be about another field than the one to leave out. Without any, there is none.
    right = {name: value for name, value in shown.items() if name not in errors}
    try:
        loaded = made.load({**whole, **right})
    except ValidationError:
        loaded = json_body.load(schema, whole)
    return ListQuery(shown, loaded, errors)

"""How a user likes the dashboard: on every device, and in every workspace."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from chronos_api.transactions import Call, begin, reading
from chronos_common.storage.accounts import preferences, users

#: Views of one user: a menu's worth, on two pages.
MAX_VIEWS = 40


class Theme(StrEnum):
    """The colours of the dashboard. ``auto`` follows the device."""

    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


class ViewedPage(StrEnum):
    """A list of the dashboard whose filters can be kept under a name."""

    JOBS = "jobs"
    EXECUTIONS = "executions"


@dataclass(frozen=True, slots=True)
class View:
    """A list with its filters, under a name. ``query`` is that of the page's address."""

    page: str
    name: str
    query: str


@dataclass(frozen=True, slots=True)
class Preferences:
    """The choices of a user, or else the defaults."""

    time_zone: str = "UTC"
    theme: str = Theme.AUTO
    shortcuts: bool = True
    views: tuple[View, ...] = ()

    def views_of(self, page: str) -> list[View]:
        """Return the views of one list."""
        return [view for view in self.views if view.page == page]


DEFAULTS = Preferences()


def read(call: Call) -> Preferences:
    """Return the preferences of the caller."""
    with reading(call) as session:
        return of_stored(preferences.find(session.connection, session.account.user_id))


def of_stored(stored: Mapping[str, Any]) -> Preferences:
    """Return the preferences that were stored. A field that they lack has its default."""
    views = tuple(View(**view) for view in stored.get("views", ()))
    return Preferences(**{**stored, "views": views})


def replace(call: Call, chosen: Mapping[str, Any]) -> Preferences:
    """Store the preferences of the caller, and return them."""
    user_id: UUID = call.account.user_id
    with begin(call) as tx:
        # Locked, so that an account that is being deleted is not written to.
        users.find(tx.connection, user_id, lock=True)
        preferences.store(tx.connection, user_id, chosen)
    return of_stored(chosen)


def change(call: Call, **changes: Any) -> Preferences:
    """Change some of the caller's preferences, and return all of them."""
    user_id: UUID = call.account.user_id
    with begin(call) as tx:
        users.find(tx.connection, user_id, lock=True)
        chosen = {**preferences.find(tx.connection, user_id), **changes}
        preferences.store(tx.connection, user_id, chosen)
    return of_stored(chosen)

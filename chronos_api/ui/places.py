"""The pages that the bar and the palette lead to, and the keys of all pages."""

from dataclasses import dataclass
from typing import Final

from chronos_api.security.access import Role


@dataclass(frozen=True, slots=True)
class Place:
    """A page without parameters. ``key`` leads there after the key ``g``."""

    page: str
    name: str
    key: str = ""
    role: Role = Role.VIEWER
    is_in_bar: bool = False


PLACES: Final = (
    Place("overview", "Overview", "o", is_in_bar=True),
    Place("jobs", "Jobs", "j", is_in_bar=True),
    Place("executions", "Executions", "e", is_in_bar=True),
    Place("failures", "Failures", "f", is_in_bar=True),
    Place("calendar", "Calendar", "c", is_in_bar=True),
    Place("new_job", "New job", "n", Role.EDITOR),
    Place("deleted", "Deleted jobs"),
    Place("settings", "Settings, members and keys", "s"),
    Place("audit", "Audit log", "a", Role.OWNER),
    Place("account", "Your account"),
    Place("device", "Log in a program", role=Role.OWNER),
    Place("wall", "Wall, for a screen that everybody sees"),
    Place("system", "System"),
)


def places_of(role: Role | None) -> list[Place]:
    """Return the pages that a member with this role may see."""
    return [place for place in PLACES if role is not None and role.includes(place.role)]


#: Keys, and what they do. ``keys.js`` has the same ones.
SHORTCUTS: Final = (
    (("Ctrl K",), "search, or go to a page, a job or an id"),
    (("/",), "search in the list"),
    (("g o", "g j", "g e"), "overview, jobs, executions"),
    (("g f", "g c"), "failures, calendar"),
    (("g n", "g s", "g a"), "new job, settings, audit log"),
    (("j", "k"), "next and previous row"),
    (("x",), "check the row"),
    (("o", "Enter"), "open the row"),
    (("r", "p", "e"), "run, pause or resume, edit the row or the job"),
    (("c", "l"), "clone it, show its executions"),
    (("[", "]"), "previous and next execution of the job"),
    (("1", "2", "3", "4"), "the last hour, 6 hours, day, week"),
    (("arrows",), "another hour or day in the calendar"),
    (("z",), "times in UTC or in your zone"),
    ((".",), "stop following what happens, or go on"),
    (("?",), "these keys"),
)

"""The calendar: how many runs are to come, hour by hour, which ones, and where they collide."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from werkzeug.wrappers import Response as AnyResponse

from chronos_api.fields.fields import Instant, OneOf
from chronos_api.jobs.definition.payload_schemas import JobType
from chronos_api.preferences import service as preferences
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.statistics import cached
from chronos_api.statistics.upcoming_schemas import AgendaQuery
from chronos_api.transactions import account_call
from chronos_api.ui import heat_map
from chronos_api.ui.blueprint import blueprint, show
from chronos_api.ui.lists import query_of
from chronos_common import clock
from chronos_common.domain.timezones.zones import zone_of

_HOUR_MINUTES = 60
#: The lists of an agenda that the page shows as such.
_LINES = ("seconds", "busiest", "quietest")


class Horizon(StrEnum):
    """How far ahead the heat map looks."""

    DAY = "24h"
    WEEK = "7d"


_HOURS: Final = {Horizon.DAY: 24, Horizon.WEEK: 168}


class CalendarQuery(AgendaQuery):
    """How far ahead to look, and the span of the agenda: the next day unless it is given."""

    span = OneOf(Horizon, load_default=Horizon.DAY)
    since = Instant()
    until = Instant()


@blueprint.get("/calendar")
@requires(Role.VIEWER, Scope.STATS_READ)
def calendar() -> AnyResponse:
    """Show the runs to come: a heat map of hours and days, and the agenda of a span."""
    query, workspace_id = query_of(CalendarQuery), principal().workspace_id
    span = query.loaded["span"]
    ahead = {"hours": _HOURS[span], "bucket_minutes": _HOUR_MINUTES}
    forecast = cached.upcoming(workspace_id, query.loaded | ahead)
    since, until = _agenda_span(query.loaded, clock.now())
    agenda = cached.agenda(workspace_id, query.loaded | {"since": since, "until": until})
    chosen = preferences.read(account_call())
    return show(
        "calendar.html",
        preferences=chosen,
        query=query,
        types=list(JobType),
        spans=list(Horizon),
        span=span,
        forecast=forecast,
        chart=heat_map.heat_map(forecast["buckets"], zone_of(chosen.time_zone)),
        agenda=agenda | {name: _dated(agenda[name]) for name in _LINES},
        bars=heat_map.minute_bars(agenda["minutes"]),
        since=since,
        until=until,
        is_chosen="since" in query.loaded,
        hour=clock.HOUR,
        second=clock.SECOND,
    )


def _dated(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return lines of an answer with their instants as such."""
    return [{**line, "at": datetime.fromisoformat(line["at"])} for line in lines]


def _agenda_span(query: Mapping[str, Any], now: datetime) -> tuple[datetime, datetime]:
    """Return the span that is asked for: an hour from where it begins, or the next day."""
    if "since" in query:
        return query["since"], query.get("until", query["since"] + clock.HOUR)
    # A whole minute, so that many readers share an answer.
    since = now.replace(second=0, microsecond=0)
    return since, since + clock.DAY

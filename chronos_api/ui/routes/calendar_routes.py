"""The calendar: how many runs are to come, hour by hour, and the jobs that run."""

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.preferences import service as preferences
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.statistics import cached
from chronos_api.transactions import account_call
from chronos_api.ui import heat_map
from chronos_api.ui.blueprint import blueprint, show
from chronos_common.domain.timezones.zones import zone_of

_DAYS = {"24h": 1, "7d": 7}
_HOURS_OF_DAY = 24
_HOUR_MINUTES = 60


@blueprint.get("/calendar")
@requires(Role.VIEWER, Scope.STATS_READ)
def calendar() -> AnyResponse:
    """Show the runs to come: a heat map of hours and days, and an agenda of one hour."""
    span = request.args.get("span", "24h")
    days = _DAYS.get(span, 1)
    forecast = cached.upcoming(
        principal().workspace_id, hours=days * _HOURS_OF_DAY, bucket_minutes=_HOUR_MINUTES
    )
    chosen = preferences.read(account_call())
    return show(
        "calendar.html",
        preferences=chosen,
        spans=list(_DAYS),
        span=span if span in _DAYS else "24h",
        forecast=forecast,
        chart=heat_map.heat_map(forecast["buckets"], zone_of(chosen.time_zone)),
        selected=request.args.get("at", ""),
    )

"""``/api/v1/events``."""

import re
from typing import Any

from flask import Response, current_app, jsonify, request, url_for

from chronos_api import leases
from chronos_api.context import current
from chronos_api.events import hub, sse
from chronos_api.events.schemas import EventsQuery, TicketAnswer
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security import tokens
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.security.tokens import Ticket
from chronos_api.statistics import cached
from chronos_api.transactions import call
from chronos_common.errors import Unavailable
from chronos_common.quotas import EVENT_STREAMS, USER_EVENT_STREAMS

blueprint = Blueprint(
    "events", __name__, url_prefix="/api/v1/events", description="What happens, as it happens"
)

_STREAM_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_LAST_EVENT_ID = {
    "in": "header",
    "name": "Last-Event-ID",
    "description": "The id of the last event that was seen: the stream goes on after it",
    "schema": {"type": "string", "examples": ["1763712000000-0"]},
}
_EVENT = {
    "type": "object",
    "description": "Each event of the stream",
    "properties": {
        "event": {"enum": ["stats", "changes", "reset"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "id": {"type": "string", "description": "Of changes: where to go on, as Last-Event-ID"},
    },
    "required": ["event", "data"],
}


@blueprint.route("/ticket", "POST")
@blueprint.answers(201, TicketAnswer)
@requires(Role.VIEWER, Scope.STATS_READ)
def create_event_ticket() -> Response:
    """Make a ticket, which opens the event stream for a browser's EventSource.

    EventSource can send no header, so the ticket stands in its address. It serves for a minute,
    for this workspace's event stream and nothing else, and ends with the login or the API key
    that made it. Within the minute it may be used again, as EventSource does when it reconnects.
    """
    caller = principal()
    text, ends = tokens.write_ticket(
        Ticket(caller.user_id, caller.workspace_id, caller.family_id, caller.key_id)
    )
    url = url_for("events.stream_events", ticket=text)
    return jsonify(TicketAnswer.of({"ticket": text, "expires_at": ends, "url": url}))


@blueprint.route("", "GET")
@blueprint.query(EventsQuery)
@blueprint.parameters(_LAST_EVENT_ID)
@blueprint.answers(200, _EVENT, content_type="text/event-stream")
@blueprint.problems(problems.UNAVAILABLE)
@requires(Role.VIEWER, Scope.STATS_READ, ticket=True)
def stream_events(query: dict[str, Any]) -> Response:
    """Follow the events of the workspace, as server-sent events.

    `stats` is the answer of dashboard/stats. `changes` sums up, a few times a second, the
    executions that moved and the changes by users, and names the latest of them. `reset` means
    that events may have been missed. A stream ends when an access token would: come back with
    Last-Event-ID.
    A browser's EventSource opens it with a ticket.
    """
    workspace_id = principal().workspace_id
    # A browser that reconnects sends the header, and it is newer than the address.
    last_seen = request.headers.get("Last-Event-ID") or query.get("last_event_id", "")
    streams = hub.of(current_app)
    lease = leases.take(call(), EVENT_STREAMS, USER_EVENT_STREAMS)
    try:
        subscription = streams.subscribe(
            workspace_id,
            last_seen=last_seen if _STREAM_ID.fullmatch(last_seen) else None,
            seconds=current().settings.access_token_minutes * 60,
            connection=request.environ.get("gunicorn.socket"),
        )
    except Unavailable:
        lease.release()
        raise

    stats = cached.stats_reader(workspace_id, query["period"])
    lines = sse.lines(subscription, stats, on_turn=lease.renew)
    response = Response(lines, content_type="text/event-stream")
    # A stream whose client goes away has no other end.
    response.call_on_close(lambda: streams.unsubscribe(subscription))
    response.call_on_close(lease.release)
    # Proxies must hand on each event as it comes (nginx's own header).
    response.headers["X-Accel-Buffering"] = "no"
    return response

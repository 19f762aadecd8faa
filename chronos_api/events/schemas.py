"""The event stream, and the tickets that open it for a browser."""

from marshmallow import fields
from marshmallow.validate import Regexp

from chronos_api.fields.base import Answer, Strict
from chronos_api.fields.fields import Instant, OneOf, Text
from chronos_api.statistics.dashboard import Period

_STREAM_ID = r"^([0-9]{1,20}-[0-9]{1,20})?$"


class EventsQuery(Strict):
    """How to open the event stream where no header can be sent."""

    ticket = Text(
        longest=2000,
        metadata={
            "description": "A ticket of POST /api/v1/events/ticket, in the place of a header. It "
            "does not count beside Authorization or X-API-Key"
        },
    )
    workspace = fields.UUID(
        metadata={"description": "The same as the header X-Workspace, which counts more"}
    )
    period = OneOf(
        Period,
        load_default=Period.DAY,
        metadata={"description": "How far the figures of stats go back"},
    )
    last_event_id = Text(
        longest=41,
        validate=Regexp(_STREAM_ID, error="Must be the id of an event, or empty."),
        metadata={
            "description": "The same as the header Last-Event-ID, which counts more. Empty is the "
            "same as none",
            "pattern": _STREAM_ID,
            "examples": ["1763712000000-0"],
        },
    )


class TicketAnswer(Answer):
    """A ticket: it opens the event stream of this workspace for a minute."""

    ticket = fields.String()
    expires_at = Instant(
        metadata={"description": "A minute from now. Until then it may be used, more than once"}
    )
    url = fields.String(
        metadata={
            "format": "uri-reference",
            "description": "The address for EventSource, ticket included, relative to this API",
            "examples": ["/api/v1/events?ticket=eyJ..."],
        }
    )

"""The documentation of error answers (RFC 9457), which ``chronos_api.http.problems`` makes."""

from marshmallow import Schema, fields

from chronos_api.http import problems


class FieldError(Schema):
    """A fault of one field or parameter."""

    index = fields.Integer(
        metadata={"description": "Which of the items that were sent, from 0; if there are many"}
    )
    field = fields.String(required=True, metadata={"examples": ["payload.url"]})
    message = fields.String(
        required=True, metadata={"examples": ["Must be an absolute http:// or https:// URL."]}
    )


class ProblemDocument(Schema):
    """An error, and its remedy (RFC 9457)."""

    type = fields.String(
        required=True,
        metadata={"format": "uri-reference", "enum": [kind.uri for kind in problems.ALL]},
    )
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True, metadata={"description": "The path of the request"})
    request_id = fields.String(
        required=True, metadata={"description": "Names the request in the log of Chronos"}
    )
    errors = fields.List(
        fields.Nested(FieldError),
        metadata={"description": "Each wrong field or parameter, up to 100 of them"},
    )

"""The OpenAPI 3.1 document, generated from the routes and their schemas."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any

from flask import Flask
from flask_smorest import Api
from marshmallow import Schema, fields

from chronos_api.http import problems
from chronos_api.http.problems import MEDIA_TYPE
from chronos_api.jobs.definition import payload_schemas
from chronos_api.security import credentials
from chronos_common import __version__

_DESCRIPTION = """\
Chronos runs HTTP calls, e-mails and Celery tasks on a schedule: at least once, retried, with
every occurrence recorded.

Register or log in, and send the access token as `Authorization: Bearer <token>`. Programs send an
API key in the same header, or as `X-API-Key`. `X-Workspace` names the workspace if there are
several.
Times are UTC (RFC 3339). Errors are problem documents (RFC 9457) that name every wrong field.
"""

_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token, or an API key where one is taken",
    },
    "key": {"type": "apiKey", "in": "header", "name": credentials.KEY_HEADER},
    "keyParameter": {
        "type": "apiKey",
        "in": "query",
        "name": credentials.KEY_PARAMETER,
        "description": "Or as a field of the JSON body",
    },
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": credentials.TICKET_PARAMETER,
        "description": "A ticket of POST /api/v1/events/ticket, for a browser's EventSource, "
        "which can send no header",
    },
}


class FieldError(Schema):
    """A fault of one field or parameter."""

    index = fields.Integer(
        metadata={"description": "If many items were sent: the index of this one, from 0"}
    )
    field = fields.String(required=True, metadata={"examples": ["payload.url"]})
    message = fields.String(
        required=True, metadata={"examples": ["Must be an absolute http:// or https:// URL."]}
    )


class QuotaExcess(Schema):
    """A quota that is used up."""

    name = fields.String(required=True)
    bound = fields.Integer(required=True)
    used = fields.Integer(required=True, allow_none=True)
    unit = fields.String(required=True, metadata={"description": "The unit of bound and use"})


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
    quota = fields.Nested(
        QuotaExcess, metadata={"description": "The quota that is used up, and its use"}
    )


class ProblemApi(Api):  # type: ignore[misc] # it has no types of its own
    """flask-smorest with the error answers of this API."""

    ERROR_SCHEMA = ProblemDocument
    # Each error that an operation may answer is named there instead.
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Leave errors to ``chronos_api.http.errors``."""

    def _register_responses(self) -> None:
        """Register the error answers under the names of their statuses."""
        for status, kinds in groupby(problems.ALL, key=attrgetter("status")):
            self.spec.components.response(
                status.name,
                {
                    "description": " ".join(f"{kind.title}. {kind.meaning}" for kind in kinds),
                    "content": {MEDIA_TYPE: {"schema": ProblemDocument}},
                },
                lazy=True,
            )


def create(app: Flask, public_url: str) -> ProblemApi:
    """Return the API that blueprints are registered with."""
    app.config.update(
        API_TITLE="Chronos",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={
            "info": {"description": _DESCRIPTION, "license": {"name": "MIT", "identifier": "MIT"}},
            "servers": [{"url": public_url.rstrip("/")}],
            "components": {"securitySchemes": _SECURITY_SCHEMES},
            "x-problem-types": _problem_types(),
        },
    )
    return ProblemApi(app)


def _problem_types() -> list[dict[str, Any]]:
    return [
        {
            "type": kind.uri,
            "status": int(kind.status),
            "title": kind.title,
            "description": kind.meaning,
        }
        for kind in problems.ALL
    ]


def document(api: ProblemApi) -> dict[str, Any]:
    """Return the document."""
    content: dict[str, Any] = api.spec.to_dict()
    payload_schemas.add_to(content)
    # flask-smorest describes a pagination of its own, which nothing here uses.
    del content["components"]["schemas"]["PaginationMetadata"]
    return content


def answers(content: Mapping[str, Any]) -> Iterator[tuple[str, str, list[int]]]:
    """Yield the method and the path of each operation, with the statuses that it may answer."""
    for path, item in content["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield method.upper(), path, [int(each) for each in operation["responses"]]

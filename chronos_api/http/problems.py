"""Problem documents (RFC 9457): the form of every error answer of the API."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from typing import Any

from flask import Response, g, has_request_context, json, request

MEDIA_TYPE = "application/problem+json"

#: A body of a megabyte can have more wrong fields than anybody reads, with names of any length.
MAX_ERRORS = 50
_MAX_NAMED = 10
_MAX_TEXT = 500


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem: ``slug`` names it for programs, ``meaning`` explains it to readers."""

    slug: str
    status: HTTPStatus
    title: str
    meaning: str

    @property
    def uri(self) -> str:
        """Return the address of its description in the documentation."""
        return f"/docs#problem-{self.slug}"


MALFORMED = ProblemType(
    "malformed",
    HTTPStatus.BAD_REQUEST,
    "The request cannot be read",
    "The body is not JSON (RFC 8259), or the request breaks HTTP's rules.",
)
UNAUTHENTICATED = ProblemType(
    "unauthenticated",
    HTTPStatus.UNAUTHORIZED,
    "Not logged in",
    "There is no valid access token or API key. Log in or refresh, and send the token as "
    "'Authorization: Bearer <token>'. Or send an API key so, or as 'X-API-Key'.",
)
SECOND_FACTOR_REQUIRED = ProblemType(
    "second-factor-required",
    HTTPStatus.UNAUTHORIZED,
    "Code needed",
    "The password is right, and the account has a second factor. Log in again with 'code'.",
)
FORBIDDEN = ProblemType(
    "forbidden",
    HTTPStatus.FORBIDDEN,
    "Not allowed",
    "You are known, but your role in the workspace, or your API key's scopes, do not allow this.",
)
NOT_FOUND = ProblemType(
    "not-found",
    HTTPStatus.NOT_FOUND,
    "Not found",
    "There is nothing at this address, or it does not belong to your workspace.",
)
METHOD_NOT_ALLOWED = ProblemType(
    "method-not-allowed",
    HTTPStatus.METHOD_NOT_ALLOWED,
    "Method not allowed",
    "The address exists, but not with this method. 'Allow' lists those it has.",
)
REQUEST_TIMEOUT = ProblemType(
    "request-timeout",
    HTTPStatus.REQUEST_TIMEOUT,
    "Request too slow",
    "The request came more slowly than 500 bytes a second for 20 seconds.",
)
CONFLICT = ProblemType(
    "conflict",
    HTTPStatus.CONFLICT,
    "Conflict",
    "The thing is in a state that does not allow this, or it exists already.",
)
VERSION_CONFLICT = ProblemType(
    "version-conflict",
    HTTPStatus.PRECONDITION_FAILED,
    "Changed meanwhile",
    "'If-Match' names an older version. Read the job again and repeat your change.",
)
URI_TOO_LONG = ProblemType(
    "uri-too-long",
    HTTPStatus.REQUEST_URI_TOO_LONG,
    "Address too long",
    "The address of the request, with its parameters, is longer than 8,190 bytes.",
)
TOO_LARGE = ProblemType(
    "too-large",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "Too large",
    "The body is larger than this installation accepts.",
)
NOT_JSON = ProblemType(
    "not-json",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "Not JSON",
    "Send the body as JSON, with 'Content-Type: application/json'.",
)
MISDIRECTED = ProblemType(
    "misdirected",
    HTTPStatus.MISDIRECTED_REQUEST,
    "Not this server",
    "The name in 'Host' is not one of this server: an IP address, 'localhost', the host of "
    "CHRONOS_PUBLIC_URL, or one of CHRONOS_ALLOWED_HOSTS.",
)
INVALID = ProblemType(
    "invalid",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "Wrong values",
    "One or more fields or parameters are wrong. 'errors' names each of them and the remedy.",
)
RATE_LIMITED = ProblemType(
    "rate-limited",
    HTTPStatus.TOO_MANY_REQUESTS,
    "Too many requests",
    "Wait for as many seconds as 'Retry-After' says.",
)
QUOTA_EXCEEDED = ProblemType(
    "quota-exceeded",
    HTTPStatus.TOO_MANY_REQUESTS,
    "Quota used up",
    "The workspace would use more than its quota. 'quota' has its name, its bound, its use and "
    "their unit. A quota of a day has 'Retry-After'. Without it, waiting alone does not help.",
)
INTERNAL = ProblemType(
    "internal",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "Internal error",
    "Something went wrong in Chronos itself. Its log has the details under 'request_id'.",
)
UNAVAILABLE = ProblemType(
    "unavailable",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Temporarily unavailable",
    "A service that Chronos needs does not answer. Try again after 'Retry-After' seconds.",
)
NO_ANSWER = ProblemType(
    "no-answer",
    HTTPStatus.GATEWAY_TIMEOUT,
    "No answer in time",
    "The work that this request waits for was not done in time. '/api/v1/ready' says what runs.",
)

ALL = (
    MALFORMED,
    UNAUTHENTICATED,
    SECOND_FACTOR_REQUIRED,
    FORBIDDEN,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    REQUEST_TIMEOUT,
    CONFLICT,
    VERSION_CONFLICT,
    URI_TOO_LONG,
    TOO_LARGE,
    NOT_JSON,
    MISDIRECTED,
    INVALID,
    RATE_LIMITED,
    QUOTA_EXCEEDED,
    INTERNAL,
    UNAVAILABLE,
    NO_ANSWER,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One error answer. ``fields`` maps each wrong field to its faults and their remedies.

    ``items`` holds the same by the index of each wrong item, where many were sent. The document
    names the first :data:`MAX_ERRORS` of them. ``quota`` describes a quota that is used up.
    """

    kind: ProblemType
    detail: str
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    items: Mapping[int, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    quota: Mapping[str, Any] | None = None

    def response(self) -> Response:
        """Return the problem as the answer to the current request."""
        response = Response(json.dumps(self.document()), self.kind.status, mimetype=MEDIA_TYPE)
        response.headers.update(self.headers)
        return response

    def document(self) -> dict[str, Any]:
        """Return the members of the problem document."""
        document: dict[str, Any] = {
            "type": self.kind.uri,
            "title": self.kind.title,
            "status": int(self.kind.status),
            "detail": self.detail,
        }
        errors = list(islice(self._errors(), MAX_ERRORS))
        if errors:
            document["errors"] = errors
        if self.quota is not None:
            document["quota"] = self.quota
        if has_request_context():
            document["instance"] = request.path
            document["request_id"] = g.get("request_id")
        return document

    def _errors(self) -> Iterator[dict[str, Any]]:
        yield from _errors(self.fields)
        for index, fields in self.items.items():
            for error in _errors(fields):
                yield {"index": index, **error}


def named(names: Collection[object]) -> str:
    """Return names as a text that says how many more there are if there are many."""
    shown = ", ".join(_cut(str(name)) for name in islice(names, _MAX_NAMED))
    more = len(names) - _MAX_NAMED
    return f"{shown} and {more:,} more" if more > 0 else shown


def _errors(fields: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    for name, messages in fields.items():
        for message in messages:
            yield {"field": _cut(name), "message": _cut(message)}


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."

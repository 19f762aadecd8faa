"""``Idempotency-Key``: a POST that is sent again has its effect once (the IETF's draft).

Answers are kept for a day, but only of routes whose scope is about jobs and executions:
other answers may hold a key or a token. They count as bytes that the workspace has written.
"""

import hashlib
import re
from functools import partial

import structlog
from flask import Flask, Response, g, request
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from chronos_api.context import current
from chronos_api.security import access
from chronos_api.security.access import Scope
from chronos_common import clock
from chronos_common.errors import Conflict, Invalid
from chronos_common.quotas import CHANGE_BYTES, ENTRY_BYTES, QuotaExceeded
from chronos_common.storage import idempotency, quotas
from chronos_common.storage.idempotency import FirstRequest, Key
from chronos_common.storage.postgres.database import transaction

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"

_log = structlog.get_logger(__name__)

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_WITHOUT_SECRETS = frozenset(
    {Scope.JOBS_READ, Scope.JOBS_WRITE, Scope.EXECUTIONS_READ, Scope.EXECUTIONS_WRITE}
)
_KEPT_HEADERS = ("Content-Type", "Location", "ETag", "Deprecation", "Link")
_LARGEST_KEPT = 1 << 20


class KeyInUse(Conflict):
    """The first request with this Idempotency-Key has not ended. Wait for its answer.

    If its server died meanwhile, nobody knows whether it had its effect: look, and use another
    key.
    """


class AnswerNotKept(Conflict):
    """The first request with this Idempotency-Key succeeded, but its answer was not kept."""


def register(app: Flask) -> None:
    """Look at the key of every POST of a known user. Comes after authentication."""
    app.before_request(_begin)
    app.after_request(_finish)


def _begin() -> Response | None:
    """Reserve the key, or return the answer to the request that has it."""
    member = access.membership()
    if request.method != "POST" or HEADER not in request.headers or member is None:
        return None
    text = request.headers[HEADER]
    if not _KEY.fullmatch(text):
        raise Invalid({HEADER: ["Must be 1 to 255 visible ASCII characters, like a UUID."]})
    key, fingerprint = Key(member.workspace_id, member.user_id, text), _fingerprint()
    with transaction(current().engine) as connection:
        known = idempotency.take(connection, key, fingerprint, now=clock.now())
    if known is None:
        g.idempotency_key = key
        return None
    if known.fingerprint != fingerprint:
        raise Invalid({HEADER: ["Was used for another request; use a new key for this one."]})
    return _again(known)


def _fingerprint() -> str:
    """Return a hash that equal requests have in common."""
    head = f"{request.method} {request.full_path}\n".encode()
    return hashlib.sha256(head + request.get_data()).hexdigest()


def _again(known: FirstRequest) -> Response:
    if known.status is None:
        raise KeyInUse
    if known.body is None:
        raise AnswerNotKept
    response = Response(known.body, known.status, known.headers)
    response.headers[REPLAYED] = "true"
    return response


def _finish(response: Response) -> Response:
    """Keep the answer of a request that succeeded, or else release the key."""
    key: Key | None = g.pop("idempotency_key", None)
    if key is None:
        return response
    try:
        with transaction(current().engine) as connection:
            if response.status_code < 300:  # noqa: PLR2004 - RFC 9110, section 15
                _keep(connection, key, response)
            else:
                idempotency.give_back(connection, key)
    except SQLAlchemyError:
        # The request had its effect, or had none: its own answer says so.
        _log.exception("idempotency key left in use")
    return response


def _keep(connection: Connection, key: Key, response: Response) -> None:
    """Keep the answer, or its status alone if the workspace has written too much today."""
    now, body = clock.now(), _body(response)
    spend = partial(
        quotas.spend, connection, key.workspace_id, settings=current().settings, now=now
    )
    try:
        spend({CHANGE_BYTES: ENTRY_BYTES + len((body or "").encode())})
    except QuotaExceeded:
        body = None
        spend({CHANGE_BYTES: ENTRY_BYTES}, unrefusable={CHANGE_BYTES})
    idempotency.keep(
        connection,
        key,
        status=response.status_code,
        headers={
            name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers
        },
        body=body,
        now=now,
    )


def _body(response: Response) -> str | None:
    scope = access.requested_scope()
    if scope not in _WITHOUT_SECRETS or response.is_streamed:
        return None
    body: str = response.get_data(as_text=True)
    return body if len(body) <= _LARGEST_KEPT else None

"""Hooks around every request: its id, its log line, its security headers."""

import re
from time import perf_counter
from uuid import uuid4

import structlog
from flask import Flask, Response, g, request

from chronos_api.security import access
from chronos_api.security.rate_limits import Rate

_log = structlog.get_logger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    # Answers hold data of one user.
    "Cache-Control": "no-store",
}


def register(app: Flask) -> None:
    """Surround the requests of ``app``. Comes before every hook that may refuse one."""
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(_end)


def _begin() -> None:
    g.started = perf_counter()
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid4())
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _finish(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-ID"] = g.request_id
    seconds = perf_counter() - g.started
    if access.requested_rate() is not Rate.NONE:
        _log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            duration_ms=round(seconds * 1000, 1),
            user_id=str(g.account.user_id) if "account" in g else None,
            key_id=str(g.account.key_id) if "account" in g and g.account.key_id else None,
            address=request.remote_addr,
        )
    return response


def _end(_: BaseException | None) -> None:
    # The next log lines of this thread belong to no request.
    structlog.contextvars.clear_contextvars()

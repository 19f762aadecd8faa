"""Cross-origin requests of browsers, from the origins that the operator names.

Other origins may send no cookie, so no credentials are allowed: their callers send a token.
"""

from collections.abc import Sequence

from flask import Flask, Response, request

EVERY_ORIGIN = "*"

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, "
    "X-API-Key, X-Request-ID, X-Workspace"
)
_ANSWER_HEADERS = (
    "Content-Disposition, Deprecation, ETag, Idempotent-Replayed, Link, Location, RateLimit, "
    "RateLimit-Policy, Retry-After, X-Request-ID"
)
_PREFLIGHT_SECONDS = "600"


def register(app: Flask, origins: Sequence[str]) -> None:
    """Let scripts of ``origins`` read the answers of ``app``. ``*`` is any origin."""
    if not origins:
        return

    def allow(response: Response) -> Response:
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin is None or not (origin in origins or EVERY_ORIGIN in origins):
            return response
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _ANSWER_HEADERS
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Allow-Headers"] = _REQUEST_HEADERS
            response.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
        return response

    app.after_request(allow)

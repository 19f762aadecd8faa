"""Headers that lead clients of other schedulers to this API's own routes."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, request, url_for

#: The headers of each answer (see ``succeeded_by``).
HEADERS = {
    "Deprecation": {
        "description": "Since when there is a better route, in Unix seconds (RFC 9745)",
        "schema": {"type": "string", "examples": ["@1795219200"]},
    },
    "Link": {
        "description": "That route, as rel=successor-version (RFC 8288, RFC 5829)",
        "schema": {"type": "string"},
    },
}

# 2026-11-21, when the routes of this API and those that translate to them came, together.
_SINCE = "@1795219200"

View = Callable[..., Response]


def succeeded_by(endpoint: str) -> Callable[[View], View]:
    """Let each answer of the decorated route name ``endpoint`` as the one to use instead.

    The route goes on working: there is no ``Sunset``.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(*args: Any, **kwargs: Any) -> Response:
            response = view(*args, **kwargs)
            address = url_for(endpoint, **(request.view_args or {}))
            response.headers["Deprecation"] = _SINCE
            response.headers.add("Link", f'<{address}>; rel="successor-version"')
            return response

        # flask-smorest keeps further documentation of a view here.
        documented = {"manual_doc": {"deprecated": True}}
        answer._apidoc = documented  # type: ignore[attr-defined]  # noqa: SLF001
        return answer

    return decorate

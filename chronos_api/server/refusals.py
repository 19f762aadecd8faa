"""Answers to requests that never reach the application."""

import json
import re
from typing import Protocol
from uuid import uuid4

from chronos_api.http import problems

_QUERY = re.compile(r"\?[^\s'\"]+")


class _Client(Protocol):
    def sendall(self, data: bytes, /) -> None:
        """Send all of ``data``."""


def without_queries(text: str) -> str:
    """Cut the query of each address in ``text``: it may hold a ticket or an API key."""
    return _QUERY.sub("?...", text)


def write_problem(client: _Client, status: int, reason: str, detail: str) -> None:
    """Answer a request that breaks HTTP's rules, in the place of ``gunicorn.util.write_error``."""
    kind = next((each for each in problems.ALL if each.status == status), problems.MALFORMED)
    document = {
        "type": kind.uri,
        "title": reason,
        "status": status,
        "detail": without_queries(detail) or kind.meaning,
        # A request that could not be read has no path.
        "instance": "/",
        "request_id": str(uuid4()),
    }
    body = json.dumps(document)
    head = (
        f"HTTP/1.1 {int(status)} {reason}\r\nConnection: close\r\n"
        f"Content-Type: {problems.MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    client.sendall((head + body).encode("ascii"))

"""One try of an execution, as its history keeps it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

#: Characters of an error that the history keeps. Targets and mail servers write parts of it.
MAX_ERROR_LENGTH = 2000


class Attempt(NamedTuple):
    """What was sent, what came back, and how long each part took.

    ``started_at`` is the instant the request left. ``request`` and ``response`` hold JSON-ready
    values with secrets already redacted; ``timing_ms`` splits ``duration_ms`` into ``dns``,
    ``connect``, ``tls``, ``first_byte`` and ``total``.
    """

    started_at: datetime
    duration_ms: int
    request: Mapping[str, Any] | None = None
    response: Mapping[str, Any] | None = None
    http_status: int | None = None
    timing_ms: Mapping[str, float] | None = None

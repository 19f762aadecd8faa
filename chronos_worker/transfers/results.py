"""What became of a transfer: facts only; what they mean for the job is the action's business."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class ErrorKind(StrEnum):
    """Why a transfer got no answer, or none that was whole."""

    REFUSED_BY_EGRESS = "refused_by_egress"
    INVALID_URL = "invalid_url"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    REDIRECT = "redirect"
    TOO_LARGE = "too_large"
    INTERNAL = "internal"


class TransferError(NamedTuple):
    """What went wrong, for a program (``kind``) and for a person (``message``)."""

    kind: ErrorKind
    message: str


class TransferResult(NamedTuple):
    """A transfer that came to its end.

    ``started_at`` is the instant the request left; ``duration_seconds`` runs from there over all
    redirects, whose URLs are in ``redirects``. ``http_status``, ``header_lines`` (those of interim
    responses, 1xx, too) and ``body`` (at most 64 KiB; ``truncated`` if there was more) are of the
    last answer that came. ``error`` says why that is not the end of the way, a time-out included.
    ``flaw`` says what was wrong with that answer after its status. ``timing_ms`` is of the last
    hop.
    """

    started_at: datetime
    duration_seconds: float
    http_status: int | None = None
    header_lines: Sequence[bytes] = ()
    body: bytes = b""
    truncated: bool = False
    error: TransferError | None = None
    flaw: TransferError | None = None
    timing_ms: Mapping[str, float] | None = None
    redirects: Sequence[str] = ()

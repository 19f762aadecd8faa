"""Results of transfers: facts only. The action decides what they mean for the job."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class ErrorKind(StrEnum):
    """Why a transfer got no answer, or an incomplete one."""

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
    #: Something of the worker's own was missing, and the request has not left.
    WORKER = "worker"


class TransferError(NamedTuple):
    """The cause of a failure, for a program (``kind``) and for a person (``message``)."""

    kind: ErrorKind
    message: str


class TransferResult(NamedTuple):
    """The result of a transfer that ended.

    - ``started_at`` is the instant at which the request left. ``duration_seconds`` counts from
      there, over all redirects. Their URLs are in ``redirects``.
    - ``http_status``, ``header_lines`` and ``body`` belong to the last answer that came. The lines
      include those of interim responses (1xx). The body has at most 64 KiB, and ``truncated``
      is true if there was more.
    - ``error`` is set if the transfer ended before its answer, as by a time-out. ``flaw`` is set
      if the answer was faulty after its status.
    - ``timing_ms`` belongs to the last hop.
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

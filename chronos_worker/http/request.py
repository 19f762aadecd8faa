"""What a webhook's transfer sends: the part that a job's executions share, and each one's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from chronos_common import clock
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_worker.http import signing

_LOW_64_BITS: Final = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """Where a job's requests go and what they carry, the same for each of its executions.

    ``origin`` is ``scheme://host:port``. ``headers`` are lines as libcurl takes them;
    ``private_headers`` are those that go to ``origin`` only, not where it redirects to.
    ``job_line`` is Chronos's own that names the job. ``shown`` is the redacted request for the
    history.
    """

    job_id: UUID
    method: str
    url: str
    origin: str
    headers: Sequence[bytes]
    private_headers: Sequence[bytes]
    job_line: bytes
    body: bytes | None
    keys: Sequence[bytes]
    timeout_seconds: float
    verify_tls: bool
    follow_redirects: bool
    success_statuses: frozenset[int]
    shown: Mapping[str, Any]


# There are thousands of these a second; named tuples are made five times as fast as frozen
# dataclasses.
class HttpMessage(NamedTuple):
    """One HTTP request, ready for libcurl.

    An element of ``headers`` may hold several lines, with line breaks between them. libcurl sends
    them as they are, but sees only the first one's name: what replaces a header of its own
    (``User-Agent``, ``Accept``, ``Content-Type``) has to be an element by itself.
    """

    method: str
    url: str
    headers: Sequence[bytes]
    body: bytes | None


class Request(NamedTuple):
    """One attempt of an execution: the message for its target, and when it leaves.

    ``execution_lines`` are the headers that tell this execution from others, with line breaks
    between them. They are made before its instant (see :func:`request_of`); at the instant only
    the signature is left to make.
    """

    execution: Claimed
    job: JobSpec
    template: RequestTemplate
    message_id: bytes
    execution_lines: bytes

    @property
    def fire_at(self) -> datetime:
        """The instant at which the transfer starts."""
        return self.execution.due_at

    def message(self, sent_at: datetime) -> HttpMessage:
        """Return the message to the target itself, signed for being sent at ``sent_at``."""
        template = self.template
        headers = [
            *template.headers,
            *template.private_headers,
            self.own_lines(sent_at, template.body),
        ]
        return HttpMessage(template.method, template.url, headers, template.body)

    def own_lines(self, sent_at: datetime, body: bytes | None) -> bytes:
        """Return Chronos's own header lines, with a signature of ``body`` for each key."""
        timestamp = int(sent_at.timestamp())
        signatures = b" ".join(
            [
                signing.signature(key, self.message_id, timestamp, body or b"")
                for key in self.template.keys
            ]
        )
        return b"%b\r\n%b\r\nwebhook-timestamp: %d\r\nwebhook-signature: %b" % (
            self.template.job_line,
            self.execution_lines,
            timestamp,
            signatures,
        )


def request_of(execution: Claimed, job: JobSpec, template: RequestTemplate) -> Request:
    """Return the request of one attempt.

    The trace id (W3C Trace Context) is the execution's id; the span id names the attempt.
    """
    message_id = str(execution.id)
    span = execution.id.int & _LOW_64_BITS ^ execution.attempt
    execution_lines = (
        f"webhook-id: {message_id}\r\n"
        f"X-Chronos-Scheduled-For: {clock.rfc3339(execution.scheduled_for)}\r\n"
        f"X-Chronos-Attempt: {execution.attempt}\r\n"
        f"traceparent: 00-{execution.id.hex}-{span:016x}-01"
    )
    return Request(execution, job, template, message_id.encode(), execution_lines.encode())

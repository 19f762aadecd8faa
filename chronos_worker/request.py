"""What a webhook's transfer sends: the part that a job's executions share, and each one's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from chronos_common import clock
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_worker import signing

_LOW_64_BITS: Final = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class Target:
    """Where a job's requests go and what they carry, the same for each of its executions.

    ``origin`` is ``scheme://host:port``. ``headers`` are lines as libcurl takes them;
    ``private_headers`` are those that go to ``origin`` only, not where it redirects to. ``shown``
    is the redacted request for the history.
    """

    job_id: UUID
    method: str
    url: str
    origin: str
    headers: Sequence[bytes]
    private_headers: Sequence[bytes]
    body: bytes | None
    keys: Sequence[bytes]
    timeout_seconds: float
    verify_tls: bool
    follow_redirects: bool
    success_statuses: frozenset[int]
    shown: Mapping[str, Any]


# There are thousands of these a second; named tuples are made five times as fast as frozen
# dataclasses.
class Message(NamedTuple):
    """One HTTP request, ready for libcurl."""

    method: str
    url: str
    headers: Sequence[bytes]
    body: bytes | None


class Request(NamedTuple):
    """One attempt of an execution: the message for its target, and when it leaves.

    ``lines`` are the headers that tell this execution from others. They are made before its
    instant (see :func:`request_of`); at the instant only the signature is left to make.
    """

    execution: Claimed
    job: JobSpec
    target: Target
    message_id: bytes
    lines: Sequence[bytes]

    @property
    def fire_at(self) -> datetime:
        """The instant at which the transfer starts."""
        return self.execution.due_at

    def message(self, sent_at: datetime) -> Message:
        """Return the message to the target itself, signed for being sent at ``sent_at``."""
        target = self.target
        own = self.own_headers(sent_at, target.body)
        headers = [*target.headers, *target.private_headers, *own]
        return Message(target.method, target.url, headers, target.body)

    def own_headers(self, sent_at: datetime, body: bytes | None) -> list[bytes]:
        """Return this execution's header lines, with a signature of ``body`` for each key."""
        timestamp = int(sent_at.timestamp())
        signatures = b" ".join(
            signing.signature(key, self.message_id, timestamp, body or b"")
            for key in self.target.keys
        )
        return [
            *self.lines,
            b"webhook-timestamp: %d" % timestamp,
            b"webhook-signature: %b" % signatures,
        ]


def request_of(execution: Claimed, job: JobSpec, target: Target) -> Request:
    """Return the request of one attempt.

    The trace id (W3C Trace Context) is the execution's id; the span id names the attempt.
    """
    message_id = str(execution.id)
    span = execution.id.int & _LOW_64_BITS ^ execution.attempt
    lines = (
        f"webhook-id: {message_id}\n"
        f"X-Chronos-Scheduled-For: {clock.rfc3339(execution.scheduled_for)}\n"
        f"X-Chronos-Attempt: {execution.attempt}\n"
        f"traceparent: 00-{execution.id.hex}-{span:016x}-01"
    )
    return Request(execution, job, target, message_id.encode(), lines.encode().split(b"\n"))

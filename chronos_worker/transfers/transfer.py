"""Transfers: libcurl carries each request over its redirects until there is a result."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from chronos_worker.http import redirects
from chronos_worker.http.request import HttpMessage, TransferRequest
from chronos_worker.transfers import errors
from chronos_worker.transfers.curl_handle import CurlHandle
from chronos_worker.transfers.curl_multi import CurlMulti, Done
from chronos_worker.transfers.egress import EgressGuard
from chronos_worker.transfers.kept_connections import KeptConnections
from chronos_worker.transfers.limiter import Permit
from chronos_worker.transfers.results import ErrorKind, TransferError, TransferResult

# A handle keeps the last body that it sent, so that handles with larger bodies are not reused.
_LARGEST_KEPT_BODY: Final = 64 << 10
# Not 0, which means no timeout to libcurl.
_SHORTEST_TIMEOUT_SECONDS: Final = 0.001
_NO_MESSAGE: Final = HttpMessage("", "", (), None)

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Transfer:
    """A request under way since ``started`` (``time.monotonic`` seconds)."""

    request: TransferRequest
    permit: Permit
    handle: CurlHandle
    started_at: datetime
    started: float
    message: HttpMessage = _NO_MESSAGE
    elapsed_ms: float = 0.0
    redirects: list[str] = field(default_factory=list)
    redirected: TransferResult | None = None

    @property
    def seconds_left(self) -> float:
        """The seconds of the job's timeout that are left for further hops."""
        return self.request.template.timeout_seconds - self.elapsed_ms / 1000

    def result(self, problem: TransferError | None) -> TransferResult:
        """Return the last answer that came, and the problem that ended the transfer."""
        result = self.handle.result(
            problem,
            started_at=self.started_at,
            duration_ms=self.elapsed_ms,
            redirects=self.redirects,
        )
        if result.error and self.redirected:
            return self.redirected._replace(
                duration_seconds=result.duration_seconds,
                error=result.error,
                timing_ms=result.timing_ms,
            )
        return result


class Transfers:
    """All transfers under way. Only the engine's thread uses it.

    ``on_ended`` is called with the result of a transfer, or with None if it was aborted.
    """

    def __init__(
        self,
        *,
        multi: CurlMulti,
        guard: EgressGuard,
        now: Callable[[], datetime],
        on_ended: Callable[[Transfer, TransferResult | None], None],
    ) -> None:
        self._multi = multi
        self._guard = guard
        self._now = now
        self._on_ended = on_ended
        # The id is a number here, which is hashed in a fraction of the time of a UUID.
        self._by_execution: dict[int, Transfer] = {}
        self._by_curl: dict[Any, Transfer] = {}
        self._idle_handles: list[CurlHandle] = []
        self._connections = KeptConnections()

    def __len__(self) -> int:
        return len(self._by_execution)

    def snapshot(self) -> list[Transfer]:
        """Return the transfers of this moment. Any thread may call this."""
        return list(self._by_execution.copy().values())

    def start(self, permit: Permit) -> None:
        """Send the request of ``permit``. Raises if not even a handle can be made for it."""
        handle = self._idle_handles.pop() if self._idle_handles else self._new_handle()
        transfer = Transfer(permit.request, permit, handle, self._now(), time.monotonic())
        self._by_execution[permit.request.execution.id.int] = transfer
        try:
            transfer.message = transfer.request.message(transfer.started_at)
            self._send(transfer, transfer.request.template.timeout_seconds)
        except Exception as error:  # noqa: BLE001 - a stored payload fails its own job only
            self._fail(transfer, error)

    def _new_handle(self) -> CurlHandle:
        return CurlHandle(self._guard, self._connections)

    def abort(self, execution_id: UUID, *, started: float | None = None) -> None:
        """End a transfer (that began at ``started``, if given) at once, without a result.

        Do nothing if there is none.
        """
        transfer = self._by_execution.get(execution_id.int)
        if transfer and started in {None, transfer.started}:
            self._by_curl.pop(transfer.handle.curl)
            self._multi.remove(transfer.handle.curl)
            self._end(transfer, None)

    def finish(self, done: Done) -> None:
        """Follow the redirect of a hop that libcurl has done, or end the transfer."""
        transfer = self._by_curl.pop(done.curl)
        self._multi.remove(done.curl)
        try:
            transfer.elapsed_ms += transfer.handle.total_ms()
            result = self._result_or_next_hop(transfer, done)
        except Exception as error:  # noqa: BLE001 - an answer fails its own job only
            self._fail(transfer, error)
        else:
            if result:
                self._end(transfer, result)

    def _result_or_next_hop(self, transfer: Transfer, done: Done) -> TransferResult | None:
        handle, problem = transfer.handle, None
        if done.code:
            if handle.met_ended_connection:
                self._send(transfer, transfer.seconds_left, is_fresh=True)
                return None
            timeout_seconds = transfer.request.template.timeout_seconds
            problem = handle.problem(done.code, done.message, timeout_seconds=timeout_seconds)
            if transfer.redirects:
                problem = _of_attempt(problem)
        result = transfer.result(problem)
        if result.error or not self._is_redirect(transfer, result):
            return result
        return self._follow(transfer, result)

    @staticmethod
    def _is_redirect(transfer: Transfer, result: TransferResult) -> bool:
        return (
            result.http_status in redirects.STATUSES
            and transfer.request.template.follow_redirects
            and redirects.location_of(result.header_lines) is not None
        )

    def _follow(self, transfer: Transfer, result: TransferResult) -> TransferResult | None:
        """Send the next hop, or return the ``result`` with the reason against that."""
        template = transfer.request.template
        if transfer.seconds_left <= 0:
            return result._replace(error=errors.timed_out(template.timeout_seconds))
        try:
            transfer.message = redirects.message_after(
                transfer.message,
                transfer.request,
                status=result.http_status or 0,
                location=redirects.location_of(result.header_lines) or b"",
                hops=len(transfer.redirects),
                now=self._now(),
            )
        except redirects.NotFollowed as error:
            return result._replace(error=TransferError(ErrorKind.REDIRECT, str(error)))
        transfer.redirected = result
        transfer.redirects.append(transfer.message.url)
        self._send(transfer, transfer.seconds_left)
        return None

    def _send(self, transfer: Transfer, timeout_seconds: float, *, is_fresh: bool = False) -> None:
        handle = transfer.handle
        handle.prepare(
            transfer.message,
            timeout_seconds=max(timeout_seconds, _SHORTEST_TIMEOUT_SECONDS),
            verify_tls=transfer.request.template.verify_tls,
            is_fresh=is_fresh,
        )
        self._multi.add(handle.curl)
        self._by_curl[handle.curl] = transfer

    def _fail(self, transfer: Transfer, error: Exception) -> None:
        execution_id = transfer.request.execution.id
        _log.warning("request not sent", execution_id=str(execution_id), exc_info=error)
        problem = errors.not_sent(error)
        if transfer.redirects:
            problem = _of_attempt(problem)
        result = transfer.redirected or TransferResult(transfer.started_at, 0.0)
        self._end(transfer, result._replace(error=problem), is_reusable=False)

    def _end(
        self, transfer: Transfer, result: TransferResult | None, *, is_reusable: bool = True
    ) -> None:
        try:
            self._on_ended(transfer, result)
        finally:
            if is_reusable and len(transfer.message.body or b"") <= _LARGEST_KEPT_BODY:
                self._idle_handles.append(transfer.handle)
            # Only now, so that a wait for the last transfer ends after its result was reported.
            del self._by_execution[transfer.request.execution.id.int]


def _of_attempt(problem: TransferError) -> TransferError:
    """Return ``problem`` as one of the attempt, whose first request has left."""
    if problem.kind is ErrorKind.WORKER:
        return problem._replace(kind=ErrorKind.CONNECT)
    return problem

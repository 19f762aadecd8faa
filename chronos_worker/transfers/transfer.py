"""Requests on their way: libcurl carries each over its redirects until there is a result."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from chronos_worker.http import redirects
from chronos_worker.http.request import Message, Request
from chronos_worker.transfers import errors
from chronos_worker.transfers.connections import Connections
from chronos_worker.transfers.curl_handle import Handle
from chronos_worker.transfers.curl_multi import Done, Reactor
from chronos_worker.transfers.egress import EgressGuard
from chronos_worker.transfers.limiter import Slot
from chronos_worker.transfers.results import ErrorKind, Result, TransferError

# A handle holds on to the last body that it sent; one with a large body is not kept.
_LARGEST_KEPT_BODY: Final = 64 << 10
_SHORTEST_TIMEOUT_SECONDS: Final = 0.001
_NO_MESSAGE: Final = Message("", "", (), None)

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Flight:
    """A request on its way, since ``started`` (``time.monotonic``)."""

    request: Request
    slot: Slot
    handle: Handle
    started_at: datetime
    started: float
    message: Message = _NO_MESSAGE
    elapsed_ms: float = 0.0
    redirects: list[str] = field(default_factory=list)
    redirected: Result | None = None

    @property
    def seconds_left(self) -> float:
        """How much of the job's timeout is left for the hops to come."""
        return self.request.target.timeout_seconds - self.elapsed_ms / 1000

    def result(self, problem: TransferError | None) -> Result:
        """Return what became of it: the last answer that came, and what went wrong."""
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


class Flights:
    """Everything that is on its way. Only the engine's thread uses it."""

    def __init__(
        self,
        *,
        reactor: Reactor,
        guard: EgressGuard,
        now: Callable[[], datetime],
        on_landed: Callable[[Flight, Result | None], None],
    ) -> None:
        """Take whom to tell when a flight ends; an aborted one has no result."""
        self._reactor = reactor
        self._guard = guard
        self._now = now
        self._on_landed = on_landed
        # By the identifier as a number, which is hashed in a fraction of the time.
        self._by_execution: dict[int, Flight] = {}
        self._by_curl: dict[Any, Flight] = {}
        self._idle_handles: list[Handle] = []
        self._connections = Connections()

    def __len__(self) -> int:
        return len(self._by_execution)

    def snapshot(self) -> list[Flight]:
        """Return the flights of this moment; from any thread."""
        return list(self._by_execution.copy().values())

    def start(self, slot: Slot) -> None:
        """Send the request that was given ``slot``."""
        handle = self._idle_handles.pop() if self._idle_handles else self._new_handle()
        flight = Flight(slot.request, slot, handle, self._now(), time.monotonic())
        self._by_execution[slot.request.execution.id.int] = flight
        try:
            flight.message = flight.request.message(flight.started_at)
            self._send(flight, flight.request.target.timeout_seconds)
        except Exception as error:  # noqa: BLE001 - whatever a user stored fails that job only
            self._fail(flight, error)

    def _new_handle(self) -> Handle:
        return Handle(self._guard, self._connections)

    def abort(self, execution_id: UUID, *, started: float | None = None) -> None:
        """End a flight (that began at ``started``, if given) at once, without a result.

        Nothing happens if there is none.
        """
        flight = self._by_execution.get(execution_id.int)
        if flight and started in {None, flight.started}:
            self._by_curl.pop(flight.handle.curl)
            self._reactor.remove(flight.handle.curl)
            self._land(flight, None)

    def finish(self, done: Done) -> None:
        """Take libcurl's word that a transfer is done: follow its redirect, or report it."""
        flight = self._by_curl.pop(done.curl)
        self._reactor.remove(done.curl)
        try:
            flight.elapsed_ms += flight.handle.total_ms()
            result = self._result_or_next_hop(flight, done)
        except Exception as error:  # noqa: BLE001 - whatever came back fails that job only
            self._fail(flight, error)
        else:
            if result:
                self._land(flight, result)

    def _result_or_next_hop(self, flight: Flight, done: Done) -> Result | None:
        handle, problem = flight.handle, None
        if done.code:
            if handle.met_ended_connection:
                self._send(flight, flight.seconds_left, is_fresh=True)
                return None
            timeout_seconds = flight.request.target.timeout_seconds
            problem = handle.problem(done.code, done.message, timeout_seconds=timeout_seconds)
        result = flight.result(problem)
        if result.error or not self._leads_on(flight, result):
            return result
        return self._follow(flight, result)

    @staticmethod
    def _leads_on(flight: Flight, result: Result) -> bool:
        return (
            result.http_status in redirects.STATUSES
            and flight.request.target.follow_redirects
            and redirects.location_of(result.header_lines) is not None
        )

    def _follow(self, flight: Flight, result: Result) -> Result | None:
        """Send the next hop, or return the ``result`` of this one with the reason why not."""
        target = flight.request.target
        if flight.seconds_left <= 0:
            return result._replace(error=errors.timed_out(target.timeout_seconds))
        try:
            flight.message = redirects.message_after(
                flight.message,
                flight.request,
                status=result.http_status or 0,
                location=redirects.location_of(result.header_lines) or b"",
                hops=len(flight.redirects),
                now=self._now(),
            )
        except redirects.NotFollowed as error:
            return result._replace(error=TransferError(ErrorKind.REDIRECT, str(error)))
        flight.redirected = result
        flight.redirects.append(flight.message.url)
        self._send(flight, flight.seconds_left)
        return None

    def _send(self, flight: Flight, timeout_seconds: float, *, is_fresh: bool = False) -> None:
        handle = flight.handle
        handle.prepare(
            flight.message,
            timeout_seconds=max(timeout_seconds, _SHORTEST_TIMEOUT_SECONDS),
            verify_tls=flight.request.target.verify_tls,
            is_fresh=is_fresh,
        )
        self._reactor.add(handle.curl)
        self._by_curl[handle.curl] = flight

    def _fail(self, flight: Flight, error: Exception) -> None:
        execution_id = flight.request.execution.id
        _log.warning("request not sent", execution_id=str(execution_id), exc_info=error)
        problem = errors.not_sent(error)
        result = flight.redirected or Result(flight.started_at, 0.0)
        self._land(flight, result._replace(error=problem), is_reusable=False)

    def _land(self, flight: Flight, result: Result | None, *, is_reusable: bool = True) -> None:
        try:
            self._on_landed(flight, result)
        finally:
            if is_reusable and len(flight.message.body or b"") <= _LARGEST_KEPT_BODY:
                self._idle_handles.append(flight.handle)
            # Only now, so that whoever waits for the last flight finds its result reported.
            del self._by_execution[flight.request.execution.id.int]

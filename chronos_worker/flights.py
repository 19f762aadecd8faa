"""Requests on their way: libcurl carries each over its redirects until there is a result."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from chronos_worker import redirects
from chronos_worker.egress import EgressGuard
from chronos_worker.handle import Handle
from chronos_worker.reactor import Done, Reactor
from chronos_worker.request import Message, Request
from chronos_worker.result import ErrorKind, Result, TransferError
from chronos_worker.slots import Slot

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

    def result(self, error: TransferError | None) -> Result:
        """Return what became of it."""
        return self.handle.result(
            error,
            started_at=self.started_at,
            duration_ms=self.elapsed_ms,
            redirects=self.redirects,
        )


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

    def __len__(self) -> int:
        return len(self._by_execution)

    def snapshot(self) -> list[Flight]:
        """Return the flights of this moment; from any thread."""
        return list(self._by_execution.copy().values())

    def start(self, slot: Slot) -> None:
        """Send the request that was given ``slot``."""
        handle = self._idle_handles.pop() if self._idle_handles else Handle(self._guard)
        flight = Flight(slot.request, slot, handle, self._now(), time.monotonic())
        self._by_execution[slot.request.execution.id.int] = flight
        try:
            flight.message = flight.request.message(flight.started_at)
            self._send(flight, flight.request.target.timeout_seconds)
        except Exception as error:  # noqa: BLE001 - whatever a user stored fails that job only
            self._fail(flight, error)

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
        if done.code:
            return flight.result(flight.handle.error(done.code, done.message))
        if not self._leads_on(flight):
            return flight.result(None)
        try:
            flight.message = self._next_message(flight)
        except redirects.NotFollowed as error:
            return flight.result(TransferError(ErrorKind.REDIRECT, str(error)))
        flight.redirects.append(flight.message.url)
        left = flight.request.target.timeout_seconds - flight.elapsed_ms / 1000
        self._send(flight, max(left, _SHORTEST_TIMEOUT_SECONDS))
        return None

    def _send(self, flight: Flight, timeout_seconds: float) -> None:
        handle, verify_tls = flight.handle, flight.request.target.verify_tls
        handle.prepare(flight.message, timeout_seconds=timeout_seconds, verify_tls=verify_tls)
        self._reactor.add(handle.curl)
        self._by_curl[handle.curl] = flight

    @staticmethod
    def _leads_on(flight: Flight) -> bool:
        return (
            flight.handle.status() in redirects.STATUSES
            and flight.request.target.follow_redirects
            and flight.handle.redirect_url() is not None
        )

    def _next_message(self, flight: Flight) -> Message:
        return redirects.message_after(
            flight.message,
            flight.request,
            status=flight.handle.status() or 0,
            location=flight.handle.redirect_url() or "",
            hops=len(flight.redirects),
            now=self._now(),
        )

    def _fail(self, flight: Flight, error: Exception) -> None:
        execution_id = flight.request.execution.id
        _log.warning("request not sent", execution_id=str(execution_id), exc_info=error)
        message = f"The request could not be sent: {error}"
        problem = TransferError(ErrorKind.INTERNAL, message)
        self._land(flight, Result(flight.started_at, 0.0, error=problem), is_reusable=False)

    def _land(self, flight: Flight, result: Result | None, *, is_reusable: bool = True) -> None:
        try:
            self._on_landed(flight, result)
        finally:
            if is_reusable and len(flight.message.body or b"") <= _LARGEST_KEPT_BODY:
                self._idle_handles.append(flight.handle)
            # Only now, so that whoever waits for the last flight finds its result reported.
            del self._by_execution[flight.request.execution.id.int]

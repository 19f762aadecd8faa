"""A running transfer engine, and what came out of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import specimens
from chronos_common import clock
from chronos_common.domain.outcomes import Failed, Succeeded
from chronos_worker.actions import webhook
from chronos_worker.http.request import TransferRequest
from chronos_worker.transfers.egress import EgressGuard
from chronos_worker.transfers.engine import TransferEngine
from chronos_worker.transfers.limiter import Limits
from chronos_worker.transfers.results import ErrorKind, TransferResult


class Rig:
    """An engine whose results are kept."""

    def __init__(
        self,
        guard: EgressGuard,
        limits: Limits,
        may_start: Callable[[TransferRequest], bool] = lambda _: True,
    ) -> None:
        self.done: list[tuple[TransferRequest, TransferResult]] = []
        self.engine = TransferEngine(
            limits=limits,
            guard=guard,
            on_done=lambda request, result: self.done.append((request, result)),
            may_start=may_start,
            now=clock.now,
        )

    def send(
        self, url: str, *, timeout: float = 5, within: float = 10, **payload: Any
    ) -> TransferResult:
        """Send one request now and return its result."""
        request = request_to(url, timeout=timeout, **payload)
        self.engine.submit([request])
        return self.result_of(request, within=within)

    def result_of(self, request: TransferRequest, *, within: float = 10) -> TransferResult:
        wait_until(lambda: any(each is request for each, _ in self.done), within=within)
        return next(result for each, result in self.done if each is request)

    def judge(self, url: str, **options: Any) -> Succeeded | Failed:
        """Send one request now and return what its result means."""
        result = self.send(url, **options)
        return webhook.outcome(self.done[-1][0], result)[0]

    def wait_for(self, count: int, *, within: float = 15) -> list[TransferResult]:
        wait_until(lambda: len(self.done) >= count, within=within)
        return [result for _, result in self.done]


@contextmanager
def running(*arguments: Any, **options: Any) -> Iterator[Rig]:
    rig = Rig(*arguments, **options)
    rig.engine.start()
    try:
        yield rig
    finally:
        rig.engine.stop()


def request_to(
    url: str, *, timeout: float = 5, at: datetime | None = None, **payload: Any
) -> TransferRequest:
    """Return a request to ``url``, due at ``at``, or now."""
    job = specimens.job({"url": url, **payload}, timeout_seconds=timeout)
    return webhook.prepare(specimens.claimed(job, at or clock.now()), job)


def again(request: TransferRequest, *, after: float) -> TransferRequest:
    """Return the next execution of the same job."""
    due_at = request.due_at + timedelta(seconds=after)
    return webhook.prepare(specimens.claimed(request.job, due_at), request.job)


def wait_until(condition: Callable[[], bool], *, within: float = 10, every: float = 0.002) -> None:
    """Wait until a condition holds, asked ``every`` so many seconds; fail after ``within``."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(every)


def kind_of(result: TransferResult) -> ErrorKind | None:
    return result.error.kind if result.error else None


def flaw_of(result: TransferResult) -> ErrorKind | None:
    return result.flaw.kind if result.flaw else None

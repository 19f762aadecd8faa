"""Sends requests at their instants, whether or not earlier ones were answered.

One thread with libcurl does it, so that the client disturbs the measurement little. Threads of
Python took a twelfth of a core for 100 requests a second, and waited for each other.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import pycurl

#: As many requests are under way at a time, each on a connection that stays open.
CONNECTIONS = 16
_TIMEOUT_SECONDS = 10

#: Interval at which libcurl's own time-outs are checked.
_LONGEST_WAIT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send. ``kind`` is the name of its figure, and ``body`` makes it a POST."""

    kind: str
    url: str
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The status of a request's answer, and the milliseconds since its instant.

    Without a whole answer the status is 0, and the time is the client's longest wait.
    """

    kind: str
    status: int
    milliseconds: float


class SteadyClient:
    """Sends requests with the same headers."""

    def __init__(self, headers: Sequence[str]) -> None:
        self._multi = pycurl.CurlMulti()
        self._idle = [_handle(headers) for _ in range(CONNECTIONS)]

    def send(self, requests: Sequence[Request], *, per_second: float) -> list[Answer]:
        """Send each at its instant, ``per_second`` of them, and return the answers to all.

        A request without a free connection waits for one, and that counts.
        """
        started = time.monotonic()
        waiting = deque(
            (started + number / per_second, each) for number, each in enumerate(requests)
        )
        under_way: dict[pycurl.Curl, tuple[float, Request]] = {}
        answers: list[Answer] = []
        while waiting or under_way:
            while waiting and self._idle and waiting[0][0] <= time.monotonic():
                handle = self._idle.pop()
                under_way[handle] = waiting.popleft()
                self._begin(handle, under_way[handle][1])
            self._multi.perform()
            for handle, is_whole in self._ended():
                due, request = under_way.pop(handle)
                seconds = time.monotonic() - due
                status = handle.getinfo(pycurl.RESPONSE_CODE) if is_whole else 0
                counted = seconds if is_whole else max(seconds, _TIMEOUT_SECONDS)
                answers.append(Answer(request.kind, status, counted * 1000))
                self._idle.append(handle)
            self._rest(until=waiting[0][0] if waiting and self._idle else None)
        return answers

    def _begin(self, handle: pycurl.Curl, request: Request) -> None:
        handle.setopt(pycurl.URL, request.url)
        if request.body is None:
            handle.setopt(pycurl.HTTPGET, 1)
        else:
            handle.setopt(pycurl.POSTFIELDS, request.body)
        self._multi.add_handle(handle)

    def _ended(self) -> list[tuple[pycurl.Curl, bool]]:
        """Return the handles whose requests ended, and whether with a whole answer."""
        _, answered, failed = self._multi.info_read()
        ended = [(handle, True) for handle in answered]
        ended += [(handle, False) for handle, *_ in failed]
        for handle, _ in ended:
            self._multi.remove_handle(handle)
        return ended

    def _rest(self, *, until: float | None) -> None:
        """Wait for progress of a request under way, or for the next instant."""
        left = _LONGEST_WAIT_SECONDS
        if until is not None:
            left = min(max(until - time.monotonic(), 0), left)
        if len(self._idle) < CONNECTIONS:
            self._multi.select(left)
        elif until is not None:
            time.sleep(left)


def _handle(headers: Sequence[str]) -> pycurl.Curl:
    handle = pycurl.Curl()
    handle.setopt(pycurl.HTTPHEADER, list(headers))
    handle.setopt(pycurl.TIMEOUT, _TIMEOUT_SECONDS)
    handle.setopt(pycurl.WRITEFUNCTION, len)
    handle.setopt(pycurl.NOPROXY, "*")
    return handle

"""Live events as the text of server-sent events (WHATWG HTML, section 9.2)."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from chronos_api.events.subscriptions import Changes, Entry, Idle, KeepAlive, Reset, Subscription
from chronos_common.events import Sums

_log = structlog.get_logger(__name__)

#: After so many milliseconds a browser comes back to a stream that ended.
RETRY_MILLISECONDS = 2000

#: Figures are sent at the beginning, and when they have changed, but not more often.
STATS_SECONDS = 5.0

_Stats = Callable[[], Mapping[str, Any]]
_MOVING = {"as_of", "since", "queue_age_seconds"}


def lines(
    subscription: Subscription, stats: _Stats, *, on_turn: Callable[[], None] = lambda: None
) -> Iterator[bytes]:
    """Yield a stream: the figures, then changes as they come, until the subscription ends.

    ``on_turn`` is called every few seconds.
    """
    yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
    figures = _Figures(stats)
    yield from figures.changed()
    for message in subscription:
        on_turn()
        match message:
            case KeepAlive():
                yield b": heartbeat\n\n"
            case Reset(reason=reason):
                yield _event("reset", {"reason": reason})
            case Idle():
                pass
            case Changes(entries=entries):
                yield _event("changes", _sum(list(entries)), identifier=entries[-1].id)
        yield from figures.changed()


def _sum(entries: list[Entry]) -> Mapping[str, Any]:
    total = Sums()
    for entry in entries:
        total.merge(entry.sums)
    return total.document()


class _Figures:
    """The figures of the workspace, as often as is worth it."""

    def __init__(self, stats: _Stats) -> None:
        self._stats = stats
        self._next = 0.0
        self._sent: Mapping[str, Any] = {}

    def changed(self) -> Iterator[bytes]:
        """Yield the figures if they have changed and it is time to send them."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + STATS_SECONDS
        try:
            found = self._stats()
        except SQLAlchemyError as error:
            _log.warning("event stream without figures", error=str(error))
            return
        still = {name: value for name, value in found.items() if name not in _MOVING}
        if still != self._sent:
            self._sent = still
            yield _event("stats", found)


def _event(name: str, data: Mapping[str, Any], *, identifier: bytes | None = None) -> bytes:
    head = f"id: {identifier.decode()}\n" if identifier else ""
    return f"{head}event: {name}\ndata: {json.dumps(data)}\n\n".encode()

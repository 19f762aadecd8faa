"""Recovery: open failures, and replays, which run many executions again at a rate."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chronos_client import documents, pages
from chronos_client.documents import instant
from chronos_client.models import Execution, FailureCount, Replay
from chronos_client.transport import Transport


@dataclass(frozen=True, slots=True)
class CountedExecutions:
    """The executions that a filter means. With ``as_of`` the next request means the same."""

    matched: int
    is_exact: bool
    as_of: datetime
    sample: tuple[Execution, ...]


class Failures:
    """Failed executions that nobody has resolved, and whose job has not succeeded since."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, page_items: int = pages.PAGE_ITEMS, **filters: Any) -> Iterator[Execution]:
        """Yield the open failures, the latest first. ``filters`` are those of executions."""
        query = {**filters, "open_failures": "true"}
        return pages.items(self._transport, "/executions", Execution, query, page_items=page_items)

    def groups(self, by: str = "error", **filters: Any) -> tuple[FailureCount, ...]:
        """Return the open failures by ``error``, ``job``, ``host`` or ``http_status``."""
        query = {**filters, "by": by, "open_failures": "true"}
        reply = self._transport.send("GET", "/executions/failures/groups", query=query)
        return tuple(documents.read(FailureCount, each) for each in reply.content["items"])

    def count(self, action: str, **filters: Any) -> CountedExecutions:
        """Return which executions ``retry`` or ``discard`` would mean. Nothing is changed."""
        body = {"filter": _open(filters), "dry_run": True}
        found = self._transport.send("POST", f"/executions/bulk/{action}", body=body).content
        return CountedExecutions(
            matched=found["matched"],
            is_exact=found["matched_is_exact"],
            as_of=instant(found["as_of"]),
            sample=tuple(documents.read(Execution, each) for each in found["sample"]),
        )

    def retry(
        self,
        *,
        as_of: datetime,
        rate_per_second: float = 10.0,
        note: str | None = None,
        **filters: Any,
    ) -> Replay:
        """Run the failures that were counted again, at a rate. Return the replay."""
        body = {
            "filter": _open(filters),
            "as_of": as_of.isoformat(),
            "rate_per_second": rate_per_second,
            "note": note,
        }
        reply = self._transport.send("POST", "/executions/bulk/retry", body=body)
        return documents.read(Replay, reply.content)

    def discard(self, *, as_of: datetime, **filters: Any) -> int:
        """Resolve the failures that were counted without another run. Return how many."""
        body = {"filter": _open(filters), "as_of": as_of.isoformat()}
        reply = self._transport.send("POST", "/executions/bulk/discard", body=body)
        return int(reply.content["changed"])


class Replays:
    """The replays of a workspace."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Iterator[Replay]:
        """Yield the replays, the latest first."""
        return pages.items(self._transport, "/replays", Replay, {})

    def get(self, replay_id: str) -> Replay:
        """Return a replay, and how its executions have ended so far."""
        reply = self._transport.send("GET", f"/replays/{replay_id}")
        return documents.read(Replay, reply.content)

    def change(self, action: str, replay_id: str) -> Replay:
        """Do one of ``pause``, ``resume`` and ``cancel``. Return the replay."""
        reply = self._transport.send("POST", f"/replays/{replay_id}/{action}")
        return documents.read(Replay, reply.content)

    def watch(
        self,
        replay_id: str,
        *,
        timeout: float = 86_400.0,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Iterator[Replay]:
        """Yield the replay every second until its executions have ended, too, or it is paused.

        Raises :class:`~chronos_client.errors.WaitTimedOut` after ``timeout`` seconds.
        """
        return pages.watch(
            lambda: self.get(replay_id),
            lambda replay: replay.is_settled or replay.state == "paused",
            name=f"Replay {replay_id}",
            timeout=timeout,
            sleep=sleep,
            monotonic=monotonic,
        )


def _open(filters: Mapping[str, Any]) -> dict[str, Any]:
    return {**documents.written(filters), "open_failures": True}

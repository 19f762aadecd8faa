"""Live events, from a real server."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import pytest
import requests
from redis import Redis
from sqlalchemy import Engine

from child_processes import inherited_environment
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from chronos_common.events import WANTED, stream_of
from integration.api.api_process import SECRET_KEY, Server
from integration.api.callers import Caller, job
from integration.api.rows import in_seconds, plan
from rigs import wait_until

STREAMS = 3

Starter = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="module")
def start(
    api_database_url: str, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Starter:
    settings = {
        "CHRONOS_DATABASE_URL": api_database_url,
        "CHRONOS_REDIS_URL": servers.redis_url,
        "CHRONOS_SECRET_KEY": SECRET_KEY,
        "CHRONOS_API_THREADS": "2",
        "CHRONOS_EVENT_STREAMS": str(STREAMS),
        "CHRONOS_QUOTA_EVENT_STREAMS": "100",
        "CHRONOS_QUOTA_USER_EVENT_STREAMS": "100",
        # Bounds are those of each process.
        "CHRONOS_API_WORKERS": "1",
        "CHRONOS_RATE_LIMIT": "1000000 per minute",
        "CHRONOS_STATISTICS_CACHE_SECONDS": "0",
        "CHRONOS_SHUTDOWN_GRACE_SECONDS": "60",
    }

    @contextmanager
    def started() -> Iterator[Server]:
        server = Server(
            inherited_environment() | settings, tmp_path_factory.mktemp("events") / "api.log"
        )
        try:
            wait_until(server.is_up, within=60)
            yield server
        finally:
            server.process.kill()
            server.process.wait()

    return started


@pytest.fixture(scope="module")
def server(start: Starter) -> Iterator[Server]:
    with start() as running:
        yield running


def send(
    server: Server, caller: Caller, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Change something through the server itself, which tells it once."""
    headers = {"Authorization": f"Bearer {caller.token}"}
    answer = requests.request(
        method, f"{server.url}/api/v1/{path}", json=body, headers=headers, timeout=30
    )
    assert answer.ok, answer.text
    return dict(answer.json()) if answer.content else {}


def create(server: Server, caller: Caller) -> dict[str, Any]:
    return send(server, caller, "POST", "jobs", job())


class Stream:
    """A client of the event stream."""

    def __init__(
        self, server: Server, caller: Caller, last_seen: str | None = None, query: str = ""
    ) -> None:
        headers = {"Authorization": f"Bearer {caller.token}"}
        if last_seen:
            headers["Last-Event-ID"] = last_seen
        self.answer = requests.get(
            f"{server.url}/api/v1/events{query}", headers=headers, stream=True, timeout=30
        )
        self._lines = self.answer.iter_lines(chunk_size=1, decode_unicode=True)

    def close(self) -> None:
        self.answer.close()

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield events as they come, until the stream ends."""
        fields: dict[str, Any] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
                continue
            if "data" in fields:
                yield fields | {"data": json.loads(fields["data"])}
            fields = {}

    def next(self, name: str) -> dict[str, Any]:
        return next(each for each in self.events() if each["event"] == name)

    def actions(self, wanted: int) -> tuple[list[str], str]:
        """Return the next actions that users did, at least ``wanted``, and the last event's id."""
        found: list[str] = []
        for each in self.events():
            if each["event"] == "changes":
                found += [action["action"] for action in each["data"]["actions"]]
                if len(found) >= wanted:
                    return found, each["id"]
        raise AssertionError(f"the stream ended after {found}")


@contextmanager
def following(
    server: Server, caller: Caller, last_seen: str | None = None, query: str = ""
) -> Iterator[Stream]:
    streams = [Stream(server, caller, last_seen, query)]

    def is_open() -> bool:
        # A stream that was just left holds its place for a moment.
        if streams[-1].answer.status_code != 200:
            streams.append(Stream(server, caller, last_seen, query))
        return streams[-1].answer.status_code == 200

    wait_until(is_open, within=10)
    with closing(streams[-1]):
        yield streams[-1]


def test_a_stream_tells_the_figures_and_then_what_changes(
    server: Server, caller: Caller, stranger: Caller, db: Engine
) -> None:
    with following(server, caller, query="?period=1h") as stream:
        assert stream.next("stats")["data"]["period"] == "1h"
    with following(server, caller) as stream:
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        assert stream.answer.headers["Cache-Control"] == "no-store"
        assert stream.next("stats")["data"]["total"] == 0
        create(server, stranger)
        made = create(server, caller)
        first = stream.next("changes")
        assert first["data"]["actions"] == [
            {"subject": "job", "id": made["id"], "action": "job.create"}
        ]
        planned = plan(db, caller, made["id"], [in_seconds(5), in_seconds(6)])
        send(server, caller, "POST", f"jobs/{made['id']}/pause")
        second = stream.next("changes")
        assert second["data"]["executions"] == {"cancelled": 2}
        assert {each["id"] for each in second["data"]["latest"]} == set(map(str, planned))
        assert second["id"] > first["id"]
        later = next(each for each in stream.events() if each["event"] == "stats")
        assert later["data"]["total"] == 1


def test_a_client_that_comes_back_goes_on_where_it_was(
    server: Server, caller: Caller, servers: Servers
) -> None:
    with following(server, caller) as stream:
        create(server, caller)
        seen, last = stream.actions(1)
        assert seen == ["job.create"]
    with Redis.from_url(servers.redis_url) as redis:
        kept = redis.xlen(stream_of(caller.workspace_id))
        job_id = create(server, caller)["id"]
        # The next sum is another event: each flush makes one.
        wait_until(lambda: redis.xlen(stream_of(caller.workspace_id)) > kept)
    send(server, caller, "DELETE", f"jobs/{job_id}")
    with following(server, caller, last) as stream:
        assert stream.actions(2)[0] == ["job.create", "job.delete"]
    with following(server, caller, "1-1") as stream:
        assert "not known" in stream.next("reset")["data"]["reason"]
    with following(server, caller, "nonsense") as stream:
        assert next(stream.events())["event"] == "stats"


def test_streams_are_bounded_and_one_that_is_left_makes_room(
    server: Server, caller: Caller
) -> None:
    streams = all_streams(server, caller)
    refused = Stream(server, caller).answer
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    assert refused.json()["detail"].startswith("This process has as many event streams")
    # Requests have threads of their own.
    assert requests.get(f"{server.url}/api/v1/health", timeout=5).ok
    for stream in streams:
        stream.close()
    for stream in all_streams(server, caller):
        stream.close()


def all_streams(server: Server, caller: Caller) -> list[Stream]:
    """Open as many streams as there may be, once those that were closed have made room."""
    streams: list[Stream] = []

    def are_open() -> bool:
        streams[:] = [Stream(server, caller) for _ in range(STREAMS)]
        if all(each.answer.status_code == 200 for each in streams):
            return True
        for each in streams:
            each.close()
        return False

    wait_until(are_open, within=10, every=0.05)
    return streams


def test_after_a_flush_of_redis_clients_are_told_to_read_again(
    server: Server, caller: Caller, servers: Servers
) -> None:
    with following(server, caller) as stream, Redis.from_url(servers.redis_url) as redis:
        create(server, caller)
        _, last = stream.actions(1)
        redis.flushall()
        assert "emptied" in stream.next("reset")["data"]["reason"]
        wait_until(lambda: redis.zscore(WANTED, str(caller.workspace_id)) is not None, within=10)
        create(server, caller)
        assert stream.actions(1)[0] == ["job.create"]
    with following(server, caller, last) as stream:
        assert stream.next("reset")


def test_nothing_is_published_for_those_who_do_not_look(
    server: Server, caller: Caller, stranger: Caller, servers: Servers
) -> None:
    with following(server, caller) as stream, Redis.from_url(servers.redis_url) as redis:
        create(server, stranger)
        create(server, caller)
        stream.actions(1)
        assert redis.exists(stream_of(caller.workspace_id))
        assert 0 < redis.ttl(stream_of(caller.workspace_id)) <= 900
        assert not redis.exists(stream_of(stranger.workspace_id))


def test_a_stop_ends_the_streams_and_does_not_wait_for_them(
    start: Starter, caller: Caller
) -> None:
    with start() as server, following(server, caller) as stream:
        stream.next("stats")
        started = clock.host_now()
        assert server.stop() == 0, server.log.read_text()
        # The grace period is 60 seconds, which the stop itself would not wait for.
        assert (clock.host_now() - started).total_seconds() < 20
        # The end is a proper one: no connection error.
        assert list(stream.events()) == []

"""The hub of event streams: heartbeats, slow clients, clients that hang up, a Redis away."""

import socket
from collections.abc import Iterator
from itertools import islice
from uuid import UUID, uuid4

import pytest
from redis import Redis

from chronos_api.events import hub as streams
from chronos_api.events import sse, subscriptions
from chronos_api.events.hub import Hub, TooManyStreams
from chronos_api.events.subscriptions import Changes, KeepAlive, Reset, Subscription
from chronos_common import metrics
from chronos_common.events import WANTED, EventPublisher, stream_of
from chronos_common.storage.change_feed import UserAction
from rigs import wait_until

AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def hub(redis: Redis) -> Iterator[Hub]:
    hub = Hub(redis, limit=2)
    yield hub
    hub.stop()
    hub.join(timeout=5)


@pytest.fixture
def publisher(redis: Redis) -> Iterator[EventPublisher]:
    publisher = EventPublisher(redis)
    yield publisher
    publisher.stop()


def subscribe(hub: Hub, workspace_id: UUID, **options: object) -> Subscription:
    defaults = {"last_seen": None, "seconds": 20.0, "connection": None}
    return hub.subscribe(workspace_id, **(defaults | options))  # type: ignore[arg-type]


def act(publisher: EventPublisher, workspace_id: UUID, action: str = "job.create") -> None:
    publisher.put([UserAction(workspace_id, "job", uuid4(), action)])


def test_heartbeats_come_while_nothing_happens(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.1)
    messages = list(islice(subscribe(hub, uuid4()), 2))
    assert messages == [KeepAlive(), KeepAlive()]
    assert b": heartbeat\n\n" in list(islice(sse.lines(subscribe(hub, uuid4()), dict), 3))


def test_a_stream_ends_with_its_time(hub: Hub) -> None:
    assert list(subscribe(hub, uuid4(), seconds=0.3)) in ([], [KeepAlive()])


def test_a_client_that_takes_nothing_is_disconnected(
    hub: Hub, publisher: EventPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "SLOWEST_SECONDS", 0.5)
    workspace_id = uuid4()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        subscription = subscribe(hub, workspace_id, connection=ours)
        act(publisher, workspace_id)
        wait_until(lambda: subscription.closed, within=10)
        assert theirs.recv(1) == b""


def test_a_client_that_hangs_up_makes_room(hub: Hub) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        subscription = subscribe(hub, uuid4(), connection=ours)
        other = subscribe(hub, uuid4())
        with pytest.raises(TooManyStreams):
            subscribe(hub, uuid4())
        theirs.close()
        assert all(isinstance(each, KeepAlive) for each in subscription)
        hub.unsubscribe(subscription)
        subscribe(hub, uuid4())
        assert not other.closed


def test_who_joins_later_is_told_once_of_what_comes_then(
    hub: Hub, publisher: EventPublisher
) -> None:
    workspace_id = uuid4()
    first = subscribe(hub, workspace_id)
    act(publisher, workspace_id, "job.create")
    seen = next(each for each in first if isinstance(each, Changes)).entries[-1].id
    second = subscribe(hub, workspace_id, last_seen=seen.decode())
    act(publisher, workspace_id, "job.pause")
    for each in (first, second):
        news = next(message for message in each if isinstance(message, Changes))
        [entry] = news.entries
        assert entry.sums.document()["actions"][0]["action"] == "job.pause"


def test_what_is_not_ours_in_a_stream_is_left_out(
    hub: Hub, publisher: EventPublisher, redis: Redis
) -> None:
    workspace_id = uuid4()
    subscription = subscribe(hub, workspace_id)
    redis.xadd(stream_of(workspace_id), {"s": "garbage"})
    redis.xadd(stream_of(workspace_id), {b"sums": b'{"executions": 5}'})
    act(publisher, workspace_id)
    news = next(each for each in subscription if isinstance(each, Changes))
    assert [len(each.sums.actions) for each in news.entries] == [1]


def test_while_redis_is_away_changes_are_dropped_and_counted_and_streams_live() -> None:
    redis = Redis.from_url(AWAY)
    publisher, hub = EventPublisher(redis), Hub(redis, limit=1)
    before = metrics.EVENTS_DROPPED._value.get()
    act(publisher, uuid4())
    publisher.stop()
    assert metrics.EVENTS_DROPPED._value.get() == before + 1
    messages = iter(subscribe(hub, uuid4()))
    assert {type(each) for each in islice(messages, 2)} == {Reset, KeepAlive}
    hub.stop()
    assert list(messages) == []
    hub.join(timeout=5)


def test_a_watched_workspace_is_forgotten_after_a_while(
    hub: Hub, publisher: EventPublisher, redis: Redis
) -> None:
    workspace_id = uuid4()
    redis.zadd(WANTED, {str(workspace_id): 1})
    act(publisher, workspace_id)
    publisher.flush()
    assert not redis.exists(stream_of(workspace_id))
    subscribe(hub, uuid4())
    assert redis.zscore(WANTED, str(workspace_id)) is None

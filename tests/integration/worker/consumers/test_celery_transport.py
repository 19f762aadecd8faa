"""The worker's transport, on a real Valkey: what outlives the connection that it came by."""

import time
from threading import Thread

import pytest
from celery import Celery
from kombu import Connection, Consumer, Queue

from chronos_worker.consumers.celery_transport import RedisConnection, RedisTransport, StopSignal
from rigs import wait_until


def test_acknowledging_on_a_lost_connection_is_an_error_that_celery_expects(
    redis_url: str,
) -> None:
    with RedisConnection(redis_url) as connection:
        queue = connection.SimpleQueue("messages")
        queue.put({"a": 1})
        message = queue.get(timeout=5)
        # As if Redis had gone: what was taken cannot be put back.
        message.channel.do_restore = False
    with pytest.raises(RedisTransport.connection_errors, match="has ended"):
        message.ack()


@pytest.fixture
def resting(redis_url: str) -> tuple[RedisConnection, StopSignal]:
    """A connection as a consumer's, and what ends its waits."""
    stop_signal = StopSignal()
    app = Celery(broker=redis_url, set_as_current=False)
    stop_signal.listen(app)
    options = app.conf.broker_transport_options
    return RedisConnection(redis_url, transport_options=options), stop_signal


def _consume_one(connection: Connection, queue: str) -> Thread:
    """Begin what Celery's consumers do again and again, for two seconds each time."""

    def consume() -> None:
        queues = [Queue(queue)]
        with Consumer(connection, queues=queues, callbacks=[lambda _, message: message.ack()]):
            connection.drain_events(timeout=2.0)

    thread = Thread(target=consume, daemon=True)
    thread.start()
    return thread


def test_an_idle_consumer_rests_until_the_stop_signal(
    resting: tuple[RedisConnection, StopSignal],
) -> None:
    connection, stop_signal = resting
    with connection:
        consumer = _consume_one(connection, "nothing")
        consumer.join(3)
        assert consumer.is_alive()
        stop_signal.give()
        consumer.join(1)
        assert not consumer.is_alive()


def test_a_message_ends_the_rest(
    redis_url: str, resting: tuple[RedisConnection, StopSignal]
) -> None:
    connection, _ = resting
    with connection, RedisConnection(redis_url) as other:
        consumer = _consume_one(connection, "some")
        time.sleep(0.5)
        other.SimpleQueue("some").put({"a": 1})
        wait_until(lambda: not consumer.is_alive(), within=1)


def test_closing_ends_the_wait_at_redis(
    resting: tuple[RedisConnection, StopSignal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails without ``CLIENT UNBLOCK``: closing takes as long as Redis waits."""
    monkeypatch.setattr(RedisTransport, "brpop_timeout", 3600)
    connection, stop_signal = resting
    consumer = _consume_one(connection, "nothing")
    wait_until(lambda: any(each._in_poll for each in connection.transport.channels))
    stop_signal.give()
    consumer.join(5)
    closing = Thread(target=connection.release, daemon=True)
    closing.start()
    closing.join(30)
    assert not closing.is_alive()

"""The worker's transport, on a real Valkey: what outlives the connection that it came by."""

import pytest

from chronos_worker.celery_transport import RedisConnection, RedisTransport


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

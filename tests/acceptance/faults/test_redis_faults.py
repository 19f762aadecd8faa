"""Redis emptied, killed, full, read-only, and written to by others: PostgreSQL knows it all."""

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from acceptance.faults.load import Load
from acceptance.faults.stage import Stage
from chronos_common import clock, ids
from chronos_common.broker import TASK_OF, Batch, Broker
from chronos_common.domain import queues

pytestmark = pytest.mark.xdist_group("faults-redis")

PER_SECOND = 200


def test_emptying_or_killing_redis_loses_nothing(shared_stage: Stage) -> None:
    """Proves that messages are only hints: what got lost with one is dispatched again.

    Fails without rescue's look at queued executions whose message is gone (stuck for minutes), and
    without the worker's transport, whose channels outlive their connections (the workers end).
    """
    stage = shared_stage
    deaths = list(stage.fleet.deaths)
    load = stage.begin(per_second=PER_SECOND)
    with stage.servers.redis() as redis:
        for _ in range(3):
            redis.flushall()
            stage.wait(1)
    stage.recover()
    for _ in range(2):
        stage.servers.restart_valkey()
        stage.wait(4)
    stage.recover()
    stage.end(load).assert_nothing_lost(within=30)
    assert stage.fleet.deaths == deaths


def test_a_full_or_read_only_redis_delays_and_loses_nothing(shared_stage: Stage) -> None:
    """Proves that a failed publish gives back, and that workers outlive such errors.

    Fails without ``broker_channel_error_retry`` (the workers end).
    """
    stage = shared_stage
    deaths = list(stage.fleet.deaths)
    load = stage.begin(per_second=PER_SECOND)
    with stage.servers.redis() as redis:
        limit = redis.config_get("maxmemory")["maxmemory"]
        redis.config_set("maxmemory", 1)
        stage.wait(3)
        redis.config_set("maxmemory", limit)
        stage.recover()
        redis.replicaof("127.0.0.1", "1")
        stage.wait(3)
        redis.replicaof("NO", "ONE")
        stage.recover()
    stage.end(load).assert_nothing_lost(within=30)
    assert stage.fleet.deaths == deaths


def _letter(body: str = "", **changes: Any) -> str:
    """Return a message as kombu stores them, more or less."""
    letter: dict[str, Any] = {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": TASK_OF[queues.WEBHOOKS], "id": str(uuid4()), "lang": "py"},
        "properties": {
            "delivery_mode": 2,
            "delivery_tag": str(uuid4()),
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": queues.WEBHOOKS},
        },
    }
    return json.dumps(letter | changes)


GARBAGE = [
    b"\xff\xfe\x00",
    b"{}",
    b"[]",
    b"null",
    b'{"body": 1}',
    _letter("not json").encode(),
    _letter("[[], {}, {}]").encode(),
    _letter('[["x", 1], {}, {}]').encode(),
    _letter('[["00000000", 1], {}, {}]').encode(),
    _letter('[[["00000000-0000-0000-0000-000000000000"], 1], {}, {}]').encode(),
    _letter('[["00000000000000000000000000000000", 1e99], {}, {}]').encode(),
    _letter(headers={}).encode(),
    _letter(headers={"task": "os.system", "id": "1"}).encode(),
    _letter(**{"content-type": "application/x-python-serialize"}).encode(),
]


def test_garbage_and_forged_messages_start_nothing(shared_stage: Stage) -> None:
    """Proves the checks at the worker's door, and the claim's conditions.

    Fails without ``consumers.celery_transport`` (garbage ends the workers). Finished executions
    are refused twice: by the claim's condition, and by the table's CHECK if that were missing.
    """
    stage = shared_stage
    deaths = list(stage.fleet.deaths)
    load = stage.begin(per_second=PER_SECOND)
    with stage.servers.redis() as redis:
        for each in GARBAGE:
            redis.rpush(queues.WEBHOOKS, each)
            stage.wait(0.2)
        stage.recover()
        for queue in queues.DURABLE:
            redis.rpush(queue, *GARBAGE)
    stage.recover()
    _forge(stage, load)
    stage.recover()
    stage.end(load).assert_nothing_lost(within=30)
    assert stage.fleet.deaths == deaths


def _forge(stage: Stage, load: Load) -> None:
    """Publish messages with ids that are unknown, finished, or of another queue."""
    now = clock.now()
    with stage.engine.connect() as connection:
        finished = connection.execute(
            text(
                "SELECT id FROM executions WHERE workspace_id = :workspace"
                " AND status = 'succeeded' ORDER BY id LIMIT 500"
            ),
            {"workspace": load.workspace.id},
        )
        known = list(finished.scalars())
    unknown = [ids.occurrence_id(uuid4(), now) for _ in range(500)]
    later = [ids.occurrence_id(job_id, now + timedelta(days=1)) for job_id in load.jobs]
    broker = Broker(stage.servers.redis_url)
    try:
        for queue in queues.DURABLE:
            for instant in (now, now + timedelta(days=1), now - timedelta(days=1)):
                batches = [Batch(queue, each, instant) for each in (known, unknown, later)]
                broker.publish(batches, now=now)
    finally:
        broker.close()


def test_a_key_of_a_foreign_type_in_place_of_a_queue_delays_and_loses_nothing(
    shared_stage: Stage,
) -> None:
    """Proves that an answer of Redis that is an error counts as its absence."""
    stage = shared_stage
    load = stage.begin(per_second=PER_SECOND)
    with stage.servers.redis() as redis:
        pipeline = redis.pipeline()
        pipeline.delete(queues.WEBHOOKS)
        pipeline.set(queues.WEBHOOKS, "not a queue")
        pipeline.execute()
        stage.wait(4)
        redis.delete(queues.WEBHOOKS)
    stage.recover()
    stage.end(load).assert_nothing_lost(within=30)

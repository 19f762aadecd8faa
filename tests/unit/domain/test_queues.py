"""Names of queues: a task never gets into what others keep in the same broker."""

import pytest
from celery.backends.base import KeyValueStoreBackend
from kombu.pidbox import Mailbox
from kombu.transport.native_delayed_delivery import level_name
from kombu.transport.redis import Channel

from chronos_common.domain.payloads.celery_task import reserved_queue

KEPT_BY_KOMBU = [
    Channel.unacked_key,
    Channel.unacked_index_key,
    Channel.unacked_mutex_key,
    Channel.keyprefix_queue % "celery",
    Channel.keyprefix_binding_deadlines,
    Channel.keyprefix_binding_permanent % "celery",
    Mailbox.exchange_fmt % "celery",
    Mailbox.reply_exchange_fmt % "celery",
]


@pytest.mark.parametrize(
    "name",
    [
        *KEPT_BY_KOMBU,
        level_name(3),
        level_name(27, "shop"),
        f"{KeyValueStoreBackend.task_keyprefix}1",
        f"{KeyValueStoreBackend.group_keyprefix}1.j",
        f"{KeyValueStoreBackend.chord_keyprefix}1",
        "worker1.celery.pidbox",
        "4b7d.reply.celery.pidbox",
        "celery.pidbox",
        "celeryev",
        "celeryev.4b7d",
        "celery_delayed_delivery",
        "/0.celeryev",
        "amq.gen-1",
        "redbeat::lock",
        "chronos:events:wanted",
        "LIMITS:LIMITER",
        "unacked\n",
    ],
)
def test_names_that_others_keep_data_under_are_reserved(name: str) -> None:
    assert repr(name) in str(reserved_queue(name))


@pytest.mark.parametrize(
    "name",
    [
        "celery",
        "reports.daily",
        "tenant:7",
        "celery-tasks",
        "kombu",
        "emails",
        "my_unacked",
        "amq",
    ],
)
def test_other_names_are_the_users(name: str) -> None:
    assert reserved_queue(name) is None

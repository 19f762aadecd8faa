"""One installation for the tests of a module."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

import pytest
from redis import Redis

from acceptance.cluster import Cluster, running
from acceptance.inbox import Inbox, open_inbox
from chronos_common.embedded.servers.servers import Servers


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    with open_inbox() as inbox:
        yield inbox


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory,
    new_database: Callable[[], AbstractContextManager[str]],
    servers: Servers,
    inbox: Inbox,
) -> Iterator[Cluster]:
    """One installation for many tests, on a Valkey database that single tests do not empty."""
    redis_url = urlsplit(servers.redis_url)._replace(path="/1").geturl()
    with Redis.from_url(redis_url) as client:
        client.flushdb()
    with (
        new_database() as database_url,
        running(
            tmp_path_factory.mktemp("cluster"),
            database_url=database_url,
            redis_url=redis_url,
            SMTP_URL=inbox.url,
            # A broker within the worker. Others are those of test_celery_task.
            TASKS_BROKER_URL="memory://",
            TASKS_ALLOWED="shop.*",
        ) as cluster,
    ):
        yield cluster

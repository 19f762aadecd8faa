"""What hangs for one kind of job keeps no other kind waiting."""

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from acceptance.cluster import running
from chronos_common.embedded.servers.servers import Servers
from targets import Target

pytestmark = pytest.mark.xdist_group("acceptance")

THREADS = 2


def test_a_mail_server_that_hangs_keeps_no_webhook_waiting(
    tmp_path: Path,
    new_database: Callable[[], AbstractContextManager[str]],
    servers: Servers,
    target: Target,
) -> None:
    """Fails if the queues share a consumer, its threads, or the scheduler's back-pressure."""
    with (
        # The kernel accepts the connections; nobody ever says a word.
        socket.create_server(("127.0.0.1", 0), backlog=50) as silent,
        new_database() as database_url,
        running(
            tmp_path,
            database_url=database_url,
            redis_url=urlsplit(servers.redis_url)._replace(path="/2").geturl(),
            SMTP_URL=f"smtp://127.0.0.1:{silent.getsockname()[1]}",
            WORKER_THREADS=str(THREADS),
            MAX_QUEUED_SECONDS="0.5",
            SHUTDOWN_GRACE_SECONDS="1",
        ) as cluster,
    ):
        letters = [
            cluster.create(
                name=f"Letter {number}",
                type="email",
                payload={"to": ["someone@example.com"], "subject": "Hello", "body": "Hello"},
                schedule_type="interval",
                interval_seconds=1,
            )
            for number in range(2 * THREADS)
        ]
        for letter in letters:
            cluster.wait_for(letter, lambda found: len(found) > 1)
        hook = cluster.create(
            name="Hook",
            payload={"url": target.url},
            schedule_type="interval",
            interval_seconds=1,
        )
        done = cluster.wait_for(
            hook, lambda found: sum(each["status"] == "succeeded" for each in found) >= 3
        )
        assert max(each["drift_ms"] for each in done if each["drift_ms"] is not None) < 5000
        assert not any(each["status"] == "succeeded" for each in cluster.executions(letters[0]))

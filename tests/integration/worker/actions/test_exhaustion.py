"""What the worker itself lacks costs no attempt, whatever the action."""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mail_servers
import specimens
from chronos_common.domain.outcomes import NotAttempted, Succeeded
from chronos_common.domain.payloads.celery_task import TaskRules
from chronos_worker.actions import celery_task, email
from chronos_worker.actions.celery_task import TaskPublisher
from chronos_worker.attempts import Action, Finished
from chronos_worker.emails import connecting
from chronos_worker.emails.mailer import Mailer
from chronos_worker.executor import BlockingExecutor
from chronos_worker.exhaustion import lack_behind
from mail_servers import MailServer
from outages import no_descriptors, no_ports, no_threads

Lack = Callable[[], AbstractContextManager[None]]

_PAYLOADS = {
    "email": {"to": ["ann@example.com"], "subject": "Report", "body": "Done."},
    "celery_task": {"task": "shop.tasks.report", "queue": "shop"},
}


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_servers.serving() as server:
        yield server


@pytest.fixture
def publisher(redis_url: str) -> Iterator[TaskPublisher]:
    rules = TaskRules(has_broker=True, names=["*"], queues=["*"])
    publisher = TaskPublisher(redis_url, rules=rules, longest_queue=1000)
    yield publisher
    publisher.close()


def _mailer(url: str, folder: Path = Path("/nowhere")) -> Mailer:
    settings: Any = SimpleNamespace(
        smtp_url=url,
        mail_from="chronos@example.com",
        mail_dir=folder,
        email_recipient_domains=(),
    )
    return Mailer(settings)


def _run(job_type: str, action: Action) -> Finished:
    done: list[Finished] = []
    recorder: Any = SimpleNamespace(put=done.append)
    job = specimens.job(_PAYLOADS[job_type], job_type)
    BlockingExecutor({job_type: action}, recorder).begin([(specimens.claimed(job), job)])
    return done[0]


def _is_not_attempted(finished: Finished, lack: str) -> bool:
    return isinstance(finished.outcome, NotAttempted) and lack in finished.outcome.error


@pytest.mark.parametrize(
    ("lacking", "lack"),
    [
        pytest.param(no_descriptors, "too many open files", id="descriptors"),
        pytest.param(no_threads, "threads", id="threads"),
        pytest.param(no_ports, "free ports", id="ports"),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_email_that_the_worker_could_not_attempt_was_not_attempted(
    server: MailServer, lacking: Lack, lack: str, host: str
) -> None:
    port = server.url.rpartition(":")[2]
    action = partial(email.perform, mailer=_mailer(f"smtp://{host}:{port}"))
    with lacking():
        finished = _run("email", action)
    assert _is_not_attempted(finished, lack), finished.outcome
    assert server.envelopes == []
    assert _run("email", action).outcome == Succeeded()


@pytest.mark.parametrize(
    ("lacking", "lack"),
    [
        pytest.param(no_descriptors, "too many open files", id="descriptors"),
        pytest.param(no_threads, "threads", id="threads"),
        pytest.param(no_ports, "free ports", id="ports"),
    ],
)
def test_a_task_that_the_worker_could_not_publish_was_not_attempted(
    publisher: TaskPublisher, lacking: Lack, lack: str
) -> None:
    action = partial(celery_task.perform, publisher=publisher)
    with lacking():
        finished = _run("celery_task", action)
    assert _is_not_attempted(finished, lack), finished.outcome
    assert _run("celery_task", action).outcome == Succeeded()


def test_an_email_that_found_no_room_on_the_disk_was_not_attempted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = partial(email.perform, mailer=_mailer("", tmp_path))
    with no_descriptors():
        assert _is_not_attempted(_run("email", action), "too many open files")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        assert _is_not_attempted(_run("email", action), "no space left on device")
    assert _run("email", action).outcome == Succeeded()


def test_memory_that_ran_out_makes_no_payload_invalid() -> None:
    def perform(*_: object) -> Any:
        raise MemoryError

    assert _is_not_attempted(_run("email", perform), "memory")


def test_look_ups_that_could_not_begin_leave_room_for_later_ones(server: MailServer) -> None:
    action = partial(email.perform, mailer=_mailer(server.url))
    with no_threads():
        for _ in range(connecting._MAX_LOOKUPS + 1):
            assert _is_not_attempted(_run("email", action), "threads")
    assert _run("email", action).outcome == Succeeded()


def test_a_message_that_may_have_arrived_was_attempted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if such an execution is repeated as the same attempt, again and again."""
    with mail_servers.ScriptedServer({}) as server:
        lacking = partial(_without_buffers_after_the_message, monkeypatch)
        finished = _run("email", partial(email.perform, mailer=lacking(server.url)))
    assert not isinstance(finished.outcome, NotAttempted | Succeeded)


def _without_buffers_after_the_message(monkeypatch: pytest.MonkeyPatch, url: str) -> Mailer:
    receive = socket.socket.recv

    def recv(connection: socket.socket, *arguments: Any) -> bytes:
        answer = receive(connection, *arguments)
        if answer.startswith(b"354"):
            monkeypatch.setattr(socket.socket, "recv", fail)
        return answer

    def fail(*_: object) -> bytes:
        raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

    monkeypatch.setattr(socket.socket, "recv", recv)
    return _mailer(url)


def test_a_resolver_that_could_not_be_loaded_lacks_what_the_process_lacks() -> None:
    busy = OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    assert lack_behind(busy) is None
    with no_descriptors():
        assert lack_behind(busy) == "too many open files"

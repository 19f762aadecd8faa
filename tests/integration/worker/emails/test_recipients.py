"""Each recipient of each e-mail has a fate of its own, whatever a mail server says when."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, RowMapping, select, text
from sqlalchemy.exc import OperationalError

import factories
import mail_servers
import specimens
from chronos_common import clock
from chronos_common.domain.executions import Claimed
from chronos_common.domain.outcomes import NotAttempted
from chronos_common.domain.payloads import EMAIL
from chronos_common.domain.retries import RetryPolicy
from chronos_common.storage import tables
from chronos_common.storage.executions import claims
from chronos_common.storage.jobs.specs import Specs
from chronos_common.storage.outbox import failure_emails
from chronos_common.storage.outbox.outbox import FIRST_DELAY, MAX_ATTEMPTS
from chronos_worker.actions import email
from chronos_worker.attempts import Finished
from chronos_worker.channels.email import EmailChannel
from chronos_worker.emails.mailer import Mailer
from chronos_worker.executor import BlockingExecutor, earlier_attempts
from chronos_worker.outbox.failure_email_sender import FailureEmailSender
from chronos_worker.outbox.sender import HOLD_MARGIN
from chronos_worker.recorder import Recorder
from factories import Workspace
from mail_permissions import permission_for
from mail_servers import MailServer

ME = UUID(int=1)
#: More than any plan needs: each refusal for now costs one, of a recipient or of the message.
MAX_JOB_ATTEMPTS = 20
GOOD, FOR_NOW, FOR_EVER = "250 OK", "451 4.7.1 Come back later", "550 5.1.1 No such user"
HOLD = EmailChannel.longest_send + HOLD_MARGIN
ADDRESSES = ["ann@example.com", "bob@example.com", "cy@bücher.example", "dee@example.com"]
MAILBOXES = [*ADDRESSES[:2], "cy@xn--bcher-kva.example", ADDRESSES[3]]

#: What the server says of each recipient, and of each whole message, one time after another.
PLANS = st.fixed_dictionaries(
    {each: st.lists(st.sampled_from([GOOD, FOR_NOW, FOR_EVER]), max_size=4) for each in MAILBOXES}
    | {"DATA": st.lists(st.sampled_from([GOOD, FOR_NOW]), max_size=3)}
)
EXAMPLES = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with mail_servers.serving() as server:
        yield server


@pytest.fixture
def mailer(server: MailServer) -> Mailer:
    server.replies.clear()
    server.envelopes.clear()
    settings_: Any = SimpleNamespace(
        smtp_url=server.url,
        mail_from="chronos@example.com",
        mail_dir=Path("/nowhere"),
        email_recipient_domains=(),
    )
    return Mailer(settings_)


@pytest.fixture
def recorder(engine: Engine) -> Iterator[Recorder]:
    recorder = Recorder(engine)
    recorder.start()
    yield recorder
    recorder.stop()


def _program(server: MailServer, plan: dict[str, list[str]]) -> None:
    server.envelopes.clear()
    server.replies = {step: list(replies) for step, replies in plan.items()}


def _deliveries(server: MailServer) -> Counter[str]:
    return Counter(each for _, recipients in server.envelopes for each in recipients)


# --- Jobs


def _queued(engine: Engine, workspace: Workspace, now: datetime, **changes: Any) -> UUID:
    """Queue an execution of an e-mail job."""
    payload = {"to": ADDRESSES[:2], "cc": ADDRESSES[2:], "subject": "s", "body": "b"}
    with engine.begin() as connection:
        job_id = factories.job(
            connection,
            workspace,
            factories.every(3600, anchor=now),
            now=now,
            type="email",
            payload=payload,
            policy=RetryPolicy(max_attempts=MAX_JOB_ATTEMPTS, retry_delays=(0.0,)),
            **{"timeout_seconds": 20.0, **changes},
        )
        return factories.trigger(
            connection, workspace_id=workspace.id, job_id=job_id, queue=EMAIL.queue, now=now
        )


def _perform_once(engine: Engine, mailer: Mailer, recorder: Recorder, execution_id: UUID) -> None:
    """Claim, perform and record one attempt, as a worker does."""
    history = partial(earlier_attempts, engine)
    executor = BlockingExecutor(
        {"email": partial(email.perform, mailer=mailer, history=history)}, recorder
    )
    with engine.begin() as connection:
        # As the dispatcher does with what is to be tried again.
        connection.execute(
            text("UPDATE executions SET status = 'queued' WHERE status = 'retrying'")
        )
        specs = Specs().of(connection, [execution_id])
        claimed: list[Claimed] = claims.claim(
            connection,
            [execution_id],
            worker_id=ME,
            now=clock.now(),
            queue=EMAIL.queue,
            job_ids=list(specs),
        )
    executor.begin([(each, specs[each.job_id]) for each in claimed])
    assert recorder.flush(20)


def _row(engine: Engine, execution_id: UUID) -> RowMapping:
    query = select(tables.executions).where(tables.executions.c.id == execution_id)
    with engine.connect() as connection:
        return connection.execute(query).mappings().one()


@EXAMPLES
@given(plan=PLANS)
def test_each_recipient_of_a_job_gets_the_mail_once_or_is_refused_for_good_and_named(
    engine: Engine,
    workspace: Workspace,
    server: MailServer,
    mailer: Mailer,
    recorder: Recorder,
    now: datetime,
    plan: dict[str, list[str]],
) -> None:
    _program(server, plan)
    execution_id = _queued(engine, workspace, now)
    for _ in range(MAX_JOB_ATTEMPTS):
        if _row(engine, execution_id)["finished_at"] is None:
            _perform_once(engine, mailer, recorder, execution_id)
    row = _row(engine, execution_id)
    delivered = _deliveries(server)
    assert set(delivered.values()) <= {1}
    missing = set(MAILBOXES) - set(delivered)
    assert row["status"] == ("failed" if missing else "succeeded")
    for each in missing:
        assert f"{each} ({FOR_EVER})" in row["error"]
    accepted = [each for attempt in row["attempts"] for each in _accepted(attempt)]
    assert Counter(accepted) == delivered


def _accepted(attempt: dict[str, Any]) -> list[str]:
    return list(attempt.get("response", {}).get("accepted", []))


def test_a_refusal_for_now_is_tried_again_for_that_recipient_alone(
    engine: Engine,
    workspace: Workspace,
    server: MailServer,
    mailer: Mailer,
    recorder: Recorder,
    now: datetime,
) -> None:
    _program(server, {"bob@example.com": [FOR_NOW]})
    execution_id = _queued(engine, workspace, now)
    _perform_once(engine, mailer, recorder, execution_id)
    row = _row(engine, execution_id)
    assert row["status"] == "retrying"
    assert row["error"].startswith(f"The mail server refused bob@example.com ({FOR_NOW}). These")
    _perform_once(engine, mailer, recorder, execution_id)
    assert _row(engine, execution_id)["status"] == "succeeded"
    assert [len(recipients) for _, recipients in server.envelopes] == [3, 1]
    first, second = server.messages[-2:]
    assert first["Message-ID"] == second["Message-ID"]
    assert first["To"] == second["To"]


def test_without_the_history_of_its_attempts_nothing_is_sent(
    server: MailServer, mailer: Mailer
) -> None:
    """Nobody knows who has the mail already, and that is no fault of the job."""

    def unreadable(_: Claimed) -> Any:
        raise OperationalError("SELECT", {}, Exception("gone"))

    done: list[Finished] = []
    recorder: Any = SimpleNamespace(put=done.append)
    executor = BlockingExecutor(
        {"email": partial(email.perform, mailer=mailer, history=unreadable)}, recorder
    )
    job = specimens.job({"to": ADDRESSES, "subject": "s"}, "email")
    executor.begin([(specimens.claimed(job, attempt=2), job)])
    assert isinstance(done[0].outcome, NotAttempted)
    assert server.envelopes == []


# --- Failure e-mails


@pytest.fixture
def sender(engine: Engine, mailer: Mailer) -> FailureEmailSender:
    return FailureEmailSender(
        engine,
        EmailChannel(mailer),
        permission_for(engine),
        public_url="http://chronos.example.com",
    )


def _failed(engine: Engine, workspace: Workspace, now: datetime, *notify: str) -> UUID:
    """Let a job fail for good; return its id."""
    with engine.begin() as connection:
        job_id = factories.job(
            connection, workspace, factories.every(3600, anchor=now), now=now, notify=notify
        )
        factories.fail(connection, workspace, job_id, now=now)
    return job_id


def _send_due(engine: Engine, sender: FailureEmailSender, *, at: datetime) -> None:
    with engine.begin() as connection:
        taken = failure_emails.outbox.take(connection, batch=100, now=at)
    sender.send(taken, at)


def _notification(engine: Engine, job_id: UUID) -> RowMapping:
    table = tables.notifications
    query = select(table).where(table.c.job_id == job_id)
    with engine.connect() as connection:
        return connection.execute(query).mappings().one()


@EXAMPLES
@given(plan=PLANS)
def test_each_recipient_of_a_failure_is_told_once_or_refused_for_good_and_named(
    engine: Engine,
    workspace: Workspace,
    server: MailServer,
    sender: FailureEmailSender,
    now: datetime,
    plan: dict[str, list[str]],
) -> None:
    _program(server, plan)
    job_id = _failed(engine, workspace, now, *ADDRESSES)
    for attempt in range(MAX_ATTEMPTS):
        # Far apart, so that each is due.
        _send_due(engine, sender, at=clock.now() + attempt * timedelta(days=1))
    row = _notification(engine, job_id)
    delivered = _deliveries(server)
    assert set(delivered.values()) <= {1}
    missing = set(MAILBOXES) - set(delivered)
    assert (set(row["delivered"]), set(row["refused"])) == (set(delivered), missing)
    assert set(row["refused"].values()) <= {FOR_EVER}
    assert (row["sent_at"] is not None) == bool(delivered)
    assert (row["abandoned_at"] is not None) == (not delivered)
    assert all(each in (row["error"] or "") for each in missing)


def test_of_two_people_to_be_told_the_one_who_was_refused_for_now_is_told_later(
    engine: Engine,
    workspace: Workspace,
    server: MailServer,
    sender: FailureEmailSender,
    now: datetime,
) -> None:
    _program(server, {"bob@example.com": [FOR_NOW]})
    job_id = _failed(engine, workspace, now, *ADDRESSES[:2])
    _send_due(engine, sender, at=now)
    row = _notification(engine, job_id)
    assert (row["sent_at"], row["abandoned_at"]) == (None, None)
    _send_due(engine, sender, at=clock.now() + FIRST_DELAY)
    assert [recipients for _, recipients in server.envelopes] == [
        ["ann@example.com"],
        ["bob@example.com"],
    ]
    row = _notification(engine, job_id)
    assert (row["sent_at"] is not None, row["error"]) == (True, None)


def test_an_address_that_is_none_keeps_nobody_else_from_being_told(
    engine: Engine,
    workspace: Workspace,
    server: MailServer,
    sender: FailureEmailSender,
    now: datetime,
) -> None:
    _program(server, {})
    job_id = _failed(engine, workspace, now, "nobody", "x@-.example", "ann@example.com")
    _send_due(engine, sender, at=now)
    assert [recipients for _, recipients in server.envelopes] == [["ann@example.com"]]
    row = _notification(engine, job_id)
    assert row["sent_at"] is not None
    assert set(row["refused"]) == {"nobody", "x@-.example"}


def test_what_a_worker_is_sending_nobody_else_sends(
    engine: Engine,
    workspace: Workspace,
    server: MailServer,
    sender: FailureEmailSender,
    now: datetime,
) -> None:
    """A message may arrive twice: a queue was slow, or Redis handed it out again."""
    _program(server, {})
    _failed(engine, workspace, now, "ann@example.com")
    with engine.begin() as connection:
        (taken,) = failure_emails.outbox.take(connection, batch=10, now=now)
        assert failure_emails.outbox.claim(
            connection, taken, taken_at=now, until=clock.now() + HOLD
        )
    sender.send([taken], now)
    assert server.envelopes == []
    with engine.begin() as connection:
        assert failure_emails.outbox.take(connection, batch=10, now=clock.now() + HOLD / 2) == []
    # A worker that died meanwhile comes to no end.
    _send_due(engine, sender, at=clock.now() + HOLD)
    assert len(server.envelopes) == 1


def test_a_message_that_comes_late_does_not_hurry_the_next_attempt(
    engine: Engine,
    workspace: Workspace,
    server: MailServer,
    sender: FailureEmailSender,
    now: datetime,
) -> None:
    _program(server, {"DATA": [FOR_NOW]})
    job_id = _failed(engine, workspace, now, "ann@example.com")
    _send_due(engine, sender, at=now)
    sender.send([_notification(engine, job_id)["id"]], now)
    assert server.envelopes == []
    _send_due(engine, sender, at=clock.now() + FIRST_DELAY)
    assert len(server.envelopes) == 1

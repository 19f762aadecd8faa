"""Who is told of failures, and how often: the outbox, its digests, and the e-mails."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, RowMapping, select, text

import factories
from chronos_common import clock
from chronos_common.storage import tables
from chronos_common.storage.outbox import failure_emails
from chronos_worker.channels.email import EmailChannel
from chronos_worker.outbox.failure_email_sender import FailureEmailSender
from factories import Workspace
from mail_permissions import permission_for
from mail_servers import MailServer

SECOND = timedelta(seconds=1)
WINDOW = failure_emails.DIGEST_WINDOW
CRITICS = ("ops@example.com", "dev@example.com")


@pytest.fixture
def sender(engine: Engine, channel: EmailChannel) -> FailureEmailSender:
    return FailureEmailSender(
        engine, channel, permission_for(engine), public_url="http://chronos.example.com"
    )


def _job(engine: Engine, workspace: Workspace, now: datetime, **changes: Any) -> UUID:
    with engine.begin() as connection:
        schedule = factories.every(3600, anchor=now)
        return factories.job(connection, workspace, schedule, now=now, **changes)


def _fail(
    engine: Engine,
    workspace: Workspace,
    job_id: UUID,
    *,
    at: datetime,
    count: int = 1,
    error: str = "500 Internal Server Error",
) -> None:
    with engine.begin() as connection:
        factories.fail(connection, workspace, job_id, now=at, times=count, error=error)


def _outbox(engine: Engine) -> list[RowMapping]:
    table = tables.notifications
    with engine.connect() as connection:
        return list(connection.execute(select(table).order_by(table.c.window_ends_at)).mappings())


def _send_due(engine: Engine, sender: FailureEmailSender, *, at: datetime) -> None:
    with engine.begin() as connection:
        taken = failure_emails.outbox.take(connection, batch=100, now=at)
    sender.send(taken, at)


def test_ten_thousand_failures_of_a_job_become_one_mail_at_once_and_one_digest(
    engine: Engine,
    workspace: Workspace,
    sender: FailureEmailSender,
    server: MailServer,
    now: datetime,
) -> None:
    job_id = _job(engine, workspace, now, notify=CRITICS)
    _fail(engine, workspace, job_id, at=now, count=9_000)
    for second in range(1, 8):
        _fail(engine, workspace, job_id, at=now + second * SECOND, count=100, error="Timed out.")
    _fail(engine, workspace, job_id, at=now + 7 * SECOND, count=300)
    assert [(row["failures"], row["due_at"]) for row in _outbox(engine)] == [
        (1, now),
        (9_999, now + WINDOW),
    ]
    _send_due(engine, sender, at=now + WINDOW - SECOND)
    assert [message["Subject"] for message in server.messages] == ["[Chronos] Ping failed"]
    _send_due(engine, sender, at=now + WINDOW)
    _, digest = server.messages
    assert digest["Subject"] == "[Chronos] Ping failed 9,999 times"
    assert server.envelopes[1][1] == list(CRITICS)
    body = digest.get_content()
    assert "700 x Timed out." in body
    assert "300 x 500 Internal Server Error" in body
    assert f"From: {clock.rfc3339(now)}" in body
    assert f"To:   {clock.rfc3339(now + 7 * SECOND)}" in body
    assert f"/api/v1/jobs/{job_id}/executions?status=failed" in body


def test_a_job_that_goes_on_failing_makes_one_mail_for_each_window(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    job_id = _job(engine, workspace, now)
    for minute in range(60):
        at = now + timedelta(minutes=minute)
        _fail(engine, workspace, job_id, at=at, count=2)
        with engine.begin() as connection:
            for identifier in failure_emails.outbox.take(connection, batch=100, now=at):
                failure_emails.outbox.mark_sent(connection, identifier, now=at)
    rows = _outbox(engine)
    assert len(rows) == 1 + timedelta(hours=1) / WINDOW
    assert sum(row["failures"] for row in rows) == 120
    ends = [row["window_ends_at"] for row in rows]
    assert ends == [now + (n + 1) * WINDOW for n in range(len(rows))]


def test_after_a_quiet_window_a_failure_is_told_at_once_again(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    job_id = _job(engine, workspace, now)
    later = now + WINDOW + SECOND
    for at in (now, later):
        _fail(engine, workspace, job_id, at=at)
    assert [(row["failures"], row["due_at"]) for row in _outbox(engine)] == [(1, now), (1, later)]


def test_a_digest_that_is_on_its_way_takes_no_more_failures(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    job_id = _job(engine, workspace, now)
    _fail(engine, workspace, job_id, at=now, count=2)
    with engine.begin() as connection:
        assert len(failure_emails.outbox.take(connection, batch=100, now=now + WINDOW)) == 2
    _fail(engine, workspace, job_id, at=now + WINDOW)
    assert [row["failures"] for row in _outbox(engine)] == [1, 1, 1]


def test_each_job_and_each_list_of_recipients_has_mails_of_its_own(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    first, second = (_job(engine, workspace, now, notify=("a@example.com",)) for _ in range(2))
    for job_id in (first, second, first):
        _fail(engine, workspace, job_id, at=now)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE jobs SET notify = '{b@example.com}' WHERE id = :id"), {"id": first}
        )
    _fail(engine, workspace, first, at=now + SECOND)
    told = [(row["job_id"], row["recipients"], row["failures"]) for row in _outbox(engine)]
    assert sorted(told, key=str) == sorted(
        [
            (first, ["a@example.com"], 1),
            (second, ["a@example.com"], 1),
            (first, ["a@example.com"], 1),
            (first, ["b@example.com"], 1),
        ],
        key=str,
    )


def test_recorders_side_by_side_agree_on_who_was_first(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    job_id = _job(engine, workspace, now)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: _fail(engine, workspace, job_id, at=now, count=5), range(16)))
    assert sorted(row["failures"] for row in _outbox(engine)) == [1, 79]


def test_a_notification_that_no_mail_can_hold_is_abandoned_and_keeps_nobody_elses(
    engine: Engine,
    workspace: Workspace,
    sender: FailureEmailSender,
    server: MailServer,
    now: datetime,
) -> None:
    poison = _job(engine, workspace, now, notify=("a@example.com\nBcc: b@example.com",))
    plain = _job(engine, workspace, now, notify=("ops@example.com",))
    _fail(engine, workspace, poison, at=now)
    _fail(engine, workspace, plain, at=now)
    _send_due(engine, sender, at=now)
    rows = {row["job_id"]: row for row in _outbox(engine)}
    assert rows[poison]["abandoned_at"] is not None
    assert rows[poison]["error"]
    assert rows[plain]["sent_at"] is not None
    assert [envelope[1] for envelope in server.envelopes] == [["ops@example.com"]]


def _answered(
    engine: Engine, workspace: Workspace, job_id: UUID, body: str, *, at: datetime
) -> UUID:
    """Let an execution fail whose target answered 503 with ``body``; return its id."""
    _fail(engine, workspace, job_id, at=at, error="The target answered 503 Service Unavailable.")
    attempt = {"number": 1, "response": {"status": 503, "body": body}}
    with engine.begin() as connection:
        return connection.execute(
            text(
                "UPDATE executions SET http_status = 503, attempts = CAST(:attempts AS json)"
                " WHERE job_id = :job_id RETURNING id"
            ),
            {"attempts": json.dumps([{"number": 0}, attempt]), "job_id": job_id},
        ).scalar_one()


def test_the_mail_shows_what_a_person_needs_first(
    engine: Engine,
    workspace: Workspace,
    sender: FailureEmailSender,
    server: MailServer,
    now: datetime,
) -> None:
    job_id = _job(engine, workspace, now, notify=CRITICS)
    body = "<h1>Down</h1>\r\nwe\x1b[31m are back\u202e at 10\x00\n" + "more\n" * 1000
    execution_id = _answered(engine, workspace, job_id, body.replace("\x00", ""), at=now)
    _send_due(engine, sender, at=now)
    (message,) = server.messages
    lines = message.get_content().replace("\r\n", "\n").split("\n")
    assert "Error:         The target answered 503 Service Unavailable." in lines
    assert "HTTP status:   503 Service Unavailable" in lines
    assert "Attempts:      1" in lines
    assert f"Schedule:      {factories.every(3600, anchor=now).describe()}" in lines
    start = lines.index("The answer began with:")
    assert lines[start + 1 : start + 4] == ["> <h1>Down</h1>", "> we[31m are back at 10", "> more"]
    assert 20 < sum(line.startswith("> ") for line in lines) <= 31
    assert f"http://chronos.example.com/api/v1/executions/{execution_id}" in lines
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("body", ["", "  \n"])
def test_without_an_answer_the_mail_shows_none(
    engine: Engine,
    workspace: Workspace,
    sender: FailureEmailSender,
    server: MailServer,
    now: datetime,
    body: str,
) -> None:
    _answered(engine, workspace, _job(engine, workspace, now, notify=CRITICS), body, at=now)
    _send_due(engine, sender, at=now)
    assert "answer began" not in server.messages[0].get_content()


def test_a_long_answer_on_one_line_is_bounded(
    engine: Engine,
    workspace: Workspace,
    sender: FailureEmailSender,
    server: MailServer,
    now: datetime,
) -> None:
    job_id = _job(engine, workspace, now, notify=CRITICS)
    _answered(engine, workspace, job_id, "x" * 60_000, at=now)
    _send_due(engine, sender, at=now)
    assert len(server.messages[0].get_content()) < 4000

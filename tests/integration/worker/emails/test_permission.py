"""Who may send e-mails through the operator's server, how many, and to whom."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Barrier, Event
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

import factories
import mail_servers
import specimens
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_common.quotas import MAILS
from chronos_common.storage import quotas
from chronos_common.storage.accounts import users
from chronos_common.storage.outbox import failure_emails
from chronos_worker.actions import email
from chronos_worker.channels.email import EmailChannel
from chronos_worker.delivery import NotDelivered
from chronos_worker.emails.mailer import Mailer
from chronos_worker.emails.permission import MailPermission
from chronos_worker.exhaustion import Exhausted
from chronos_worker.outbox.failure_email_sender import FailureEmailSender
from factories import Workspace
from mail_permissions import permission_for
from mail_servers import MailServer

TWO = ["ann@example.com", "bob@example.org"]


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_servers.serving() as server:
        yield server


def _mailer(url: str, domains: tuple[str, ...] = ()) -> Mailer:
    settings: Any = SimpleNamespace(
        smtp_url=url,
        mail_from="chronos@example.com",
        mail_dir=Path("/nowhere"),
        email_recipient_domains=domains,
    )
    return Mailer(settings)


def _send(mailer: Any, permission: MailPermission, workspace_id: UUID) -> Outcome:
    job = specimens.job({"to": TWO, "subject": "s", "body": "b"}, "email")
    job = replace(job, workspace_id=workspace_id)
    permit = permission.sending
    return email.perform(specimens.claimed(job), job, mailer=mailer, permit=permit)[0]


def _used(engine: Engine, workspace: Workspace, permission: MailPermission, now: datetime) -> int:
    with engine.connect() as connection:
        settings = permission._settings
        uses = quotas.of_workspace(connection, workspace.id, settings=settings, now=now)
    return next(each.used or 0 for each in uses if each.quota is MAILS)


def _verify(engine: Engine, workspace: Workspace, now: datetime) -> None:
    assert workspace.owner
    with engine.begin() as connection:
        users.set_verified(connection, workspace.owner, now=now)


def _unverify(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE users SET verified_at = NULL"))


def test_a_job_sends_nothing_until_an_owner_is_verified(
    engine: Engine, workspace: Workspace, server: MailServer, now: datetime
) -> None:
    _unverify(engine)
    permission = permission_for(engine, smtp_url=server.url)
    send = partial(_send, _mailer(server.url), permission, workspace.id)
    outcome = send()
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert "email/resend" in outcome.error
    assert server.envelopes == []
    _verify(engine, workspace, now)
    assert send() == Succeeded()


def test_without_a_mail_server_nobody_has_to_be_verified(
    engine: Engine, workspace: Workspace, server: MailServer
) -> None:
    _unverify(engine)
    permission = permission_for(engine, smtp_url="")
    assert _send(_mailer(server.url), permission, workspace.id) == Succeeded()


def test_the_recipients_of_a_day_are_bounded_and_others_are_given_back(
    engine: Engine, workspace: Workspace, server: MailServer, now: datetime
) -> None:
    _verify(engine, workspace, now)
    permission = permission_for(engine, smtp_url=server.url, quota_mails=5)
    send = partial(_send, permission=permission, workspace_id=workspace.id)
    used = partial(_used, engine, workspace, permission, now)
    assert send(_mailer(server.url)) == Succeeded()
    assert used() == 2
    assert isinstance(send(_mailer("smtp://127.0.0.1:1")), Failed)
    assert used() == 2

    def lacking(*_: object, **__: object) -> Any:
        raise Exhausted("memory")

    with pytest.raises(Exhausted):
        send(SimpleNamespace(send=lacking))
    assert used() == 2
    assert send(_mailer(server.url)) == Succeeded()
    outcome = send(_mailer(server.url))
    assert isinstance(outcome, Failed)
    assert "quota mails" in outcome.error
    assert used() == 4
    assert len(server.envelopes) == 2


def test_emails_that_hang_leave_threads_to_other_workspaces_and_cost_no_attempt(
    engine: Engine, workspace: Workspace, server: MailServer, now: datetime
) -> None:
    with engine.begin() as connection:
        other = factories.workspace(connection, now=now, email="other@example.com")
    _verify(engine, workspace, now)
    _verify(engine, other, now)
    permission = permission_for(engine, smtp_url=server.url, worker_threads=4)
    hanging, over = Barrier(4), Event()

    def hang(*_: object, **__: object) -> Any:
        hanging.wait(30)
        over.wait(60)
        raise NotDelivered("It took too long.")

    with ThreadPoolExecutor(4) as threads:
        slow = SimpleNamespace(send=hang)
        held = [threads.submit(_send, slow, permission, workspace.id) for _ in range(3)]
        hanging.wait(30)
        with pytest.raises(Exhausted, match="share"):
            _send(_mailer(server.url), permission, workspace.id)
        assert _send(_mailer(server.url), permission, other.id) == Succeeded()
        over.set()
        assert all(isinstance(each.result(), Failed) for each in held)
    assert _send(_mailer(server.url), permission, workspace.id) == Succeeded()


def test_failures_are_told_to_nobody_by_a_workspace_without_a_verified_owner(
    engine: Engine, workspace: Workspace, server: MailServer, now: datetime
) -> None:
    _unverify(engine)
    with engine.begin() as connection:
        job_id = factories.job(
            connection, workspace, factories.every(3600, anchor=now), now=now, notify=TWO
        )
        factories.fail(connection, workspace, job_id, now=now)
    permission = permission_for(engine, smtp_url=server.url)
    sender = FailureEmailSender(
        engine, EmailChannel(_mailer(server.url)), permission, public_url="http://chronos"
    )
    with engine.begin() as connection:
        taken = failure_emails.outbox.take(connection, batch=9, now=now)
    sender.send(taken, now)
    assert server.envelopes == []
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM notifications")).mappings().one()
    assert "verified" in row["error"]
    assert row["abandoned_at"] is not None


@pytest.mark.parametrize("domains", [("example.com",), ("*.com", "example.net")])
def test_no_email_leaves_for_a_domain_that_the_operator_does_not_list(
    engine: Engine,
    workspace: Workspace,
    server: MailServer,
    now: datetime,
    domains: tuple[str, ...],
) -> None:
    _verify(engine, workspace, now)
    permission = permission_for(engine, smtp_url=server.url)
    outcome = _send(_mailer(server.url, domains), permission, workspace.id)
    assert isinstance(outcome, Failed)
    assert "CHRONOS_EMAIL_RECIPIENT_DOMAINS" in outcome.error
    assert [recipients for _, recipients in server.envelopes] == [["ann@example.com"]]

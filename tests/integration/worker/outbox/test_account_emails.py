"""E-mails about accounts, from the outbox to a mail server."""

import re
from contextlib import ExitStack
from datetime import datetime, timedelta
from email.message import EmailMessage
from uuid import UUID

import pytest
from sqlalchemy import Engine, RowMapping, select

from chronos_common import clock, ids
from chronos_common.broker import Broker
from chronos_common.domain import queues
from chronos_common.domain.outcomes import POSTPONED_BY
from chronos_common.storage import tables
from chronos_common.storage.accounts import email_tokens, invitations
from chronos_common.storage.accounts.email_tokens import Purpose
from chronos_common.storage.outbox import account_emails
from chronos_common.storage.outbox.account_emails import AccountEmailKind
from chronos_common.storage.outbox.outbox import FIRST_DELAY, MAX_ATTEMPTS
from chronos_scheduler.notify import Notifier
from chronos_worker.channels.email import EmailChannel
from chronos_worker.emails.thread_shares import ThreadShares
from chronos_worker.outbox.account_email_sender import AccountEmailSender
from factories import OWNER_EMAIL, Workspace
from mail_permissions import permission_for
from mail_servers import MailServer
from outages import no_threads


@pytest.fixture
def sender(engine: Engine, channel: EmailChannel) -> AccountEmailSender:
    """What a worker hands the messages of the queue of notifications to."""
    return AccountEmailSender(
        engine, channel, permission_for(engine), public_url="http://chronos.example.com"
    )


@pytest.fixture
def reset_id(engine: Engine, workspace: Workspace, now: datetime) -> UUID:
    """A request of the workspace's owner for another password."""
    assert workspace.owner
    token_id = ids.new_id(now)
    with engine.begin() as connection:
        email_tokens.request(
            connection,
            token_id,
            Purpose.PASSWORD_RESET,
            OWNER_EMAIL,
            expires_at=now + timedelta(hours=1),
            now=now,
        )
        account_emails.enqueue(connection, AccountEmailKind.PASSWORD_RESET, token_id, now=now)
    return token_id


def _send(engine: Engine, sender: AccountEmailSender, *, at: datetime) -> None:
    with engine.begin() as connection:
        taken = account_emails.outbox.take(connection, batch=100, now=at)
    sender.send(taken, at)


def _stored(engine: Engine) -> RowMapping:
    with engine.connect() as connection:
        return connection.execute(select(tables.letters)).mappings().one()


def _token(message: EmailMessage) -> str:
    (found,) = re.findall(r"^    (\S+)\r?$", message.get_content(), flags=re.MULTILINE)
    return str(found)


def _is_of_the_owner(engine: Engine, workspace: Workspace, token: str, *, now: datetime) -> bool:
    with engine.begin() as connection:
        digest = email_tokens.digest(token)
        user_id = email_tokens.use(connection, digest, Purpose.PASSWORD_RESET, now=now)
        connection.rollback()
    return user_id == workspace.owner


def test_an_email_goes_through_the_queue_of_notifications(
    engine: Engine, broker: Broker, reset_id: UUID
) -> None:
    assert reset_id
    notifier = Notifier(engine, broker, max_queued=timedelta(hours=1))
    assert notifier.tick() is False
    assert broker.depths()[queues.NOTIFICATIONS] == 1
    # It is taken for a while, so that it is not sent twice.
    notifier.tick()
    assert broker.depths()[queues.NOTIFICATIONS] == 1


def test_the_token_of_an_email_belongs_to_its_reader(
    engine: Engine,
    workspace: Workspace,
    sender: AccountEmailSender,
    server: MailServer,
    reset_id: UUID,
    now: datetime,
) -> None:
    assert reset_id
    _send(engine, sender, at=now)
    (message,) = server.messages
    assert message["To"] == OWNER_EMAIL
    assert _is_of_the_owner(engine, workspace, _token(message), now=now)
    assert _stored(engine)["sent_at"] is not None
    # Handing the message over again sends nothing.
    sender.send([_stored(engine)["id"]], now)
    assert len(server.messages) == 1


def test_an_email_that_could_not_be_sent_comes_back_with_another_token(
    engine: Engine,
    workspace: Workspace,
    sender: AccountEmailSender,
    server: MailServer,
    reset_id: UUID,
    now: datetime,
) -> None:
    assert reset_id
    server.replies["DATA"] = "451 Try again later"
    _send(engine, sender, at=now)
    assert "451" in _stored(engine)["error"]
    server.replies.clear()
    _send(engine, sender, at=now)
    assert server.messages == []
    _send(engine, sender, at=clock.now() + FIRST_DELAY)
    (message,) = server.messages
    assert _is_of_the_owner(engine, workspace, _token(message), now=now)
    row = _stored(engine)
    assert (row["attempts"], row["error"], row["abandoned_at"]) == (2, None, None)


def test_an_email_that_is_refused_for_good_is_given_up(
    engine: Engine, sender: AccountEmailSender, server: MailServer, reset_id: UUID, now: datetime
) -> None:
    assert reset_id
    server.replies[OWNER_EMAIL] = "550 No such user"
    _send(engine, sender, at=now)
    row = _stored(engine)
    assert (row["sent_at"], row["abandoned_at"] is not None) == (None, True)
    _send(engine, sender, at=now + timedelta(days=1))
    assert _stored(engine)["attempts"] == 1


def test_an_email_that_is_refused_for_now_is_sent_later(
    engine: Engine, sender: AccountEmailSender, server: MailServer, reset_id: UUID, now: datetime
) -> None:
    assert reset_id
    server.replies[OWNER_EMAIL] = ["451 Greylisted"]
    _send(engine, sender, at=now)
    row = _stored(engine)
    assert (row["error"], row["sent_at"]) == ("451 Greylisted", None)
    # The same message a second time hurries nothing.
    sender.send([row["id"]], now)
    assert server.messages == []
    _send(engine, sender, at=clock.now() + FIRST_DELAY)
    assert len(server.messages) == 1
    assert _stored(engine)["sent_at"] is not None


def test_emails_to_addresses_that_hang_hold_no_more_than_their_share_of_the_threads(
    engine: Engine, sender: AccountEmailSender, server: MailServer, reset_id: UUID, now: datetime
) -> None:
    assert reset_id
    sender._permission.threads = ThreadShares(4, patience_seconds=0)
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(sender._permission.threads.lent(AccountEmailKind.PASSWORD_RESET))
        _send(engine, sender, at=now)
        assert (_stored(engine)["attempts"], _stored(engine)["error"]) == (0, None)
        assert server.messages == []
    _send(engine, sender, at=clock.now() + POSTPONED_BY)
    assert len(server.messages) == 1


def test_an_email_whose_subject_is_gone_is_to_nobody(
    engine: Engine, sender: AccountEmailSender, server: MailServer, now: datetime
) -> None:
    with engine.begin() as connection:
        account_emails.enqueue(
            connection, AccountEmailKind.PASSWORD_RESET, ids.new_id(now), now=now
        )
    _send(engine, sender, at=now)
    assert server.messages == []
    assert _stored(engine)["sent_at"] is not None


def test_what_somebody_named_makes_no_header_of_its_own(
    engine: Engine,
    workspace: Workspace,
    sender: AccountEmailSender,
    server: MailServer,
    now: datetime,
) -> None:
    invitation_id = ids.new_id(now)
    with engine.begin() as connection:
        connection.execute(
            tables.workspaces.update().values(name="Team\r\nBcc: everybody@example.com {token}")
        )
        invitations.insert_invitation(
            connection,
            invitation_id,
            workspace_id=workspace.id,
            email="guest@example.com",
            role="viewer",
            invited_by=workspace.owner,
            expires_at=now + timedelta(days=7),
            now=now,
        )
        account_emails.enqueue(connection, AccountEmailKind.INVITATION, invitation_id, now=now)
    _send(engine, sender, at=now)
    (message,) = server.messages
    assert message["Bcc"] is None
    assert server.envelopes[0][1] == ["guest@example.com"]
    assert "{token}" in message["Subject"]
    assert f"{OWNER_EMAIL} invites you" in message.get_content()


@pytest.mark.usefixtures("reset_id")
def test_an_email_that_the_worker_could_not_attempt_comes_back_soon_with_all_attempts(
    engine: Engine, sender: AccountEmailSender, server: MailServer, now: datetime
) -> None:
    for number in range(MAX_ATTEMPTS + 1):
        at = now + number * timedelta(minutes=1)
        with no_threads():
            _send(engine, sender, at=at)
        row = _stored(engine)
        assert (row["attempts"], row["abandoned_at"], row["sent_at"]) == (0, None, None)
        assert row["due_at"] <= clock.now() + POSTPONED_BY
    _send(engine, sender, at=at + timedelta(minutes=1))
    assert len(server.messages) == 1

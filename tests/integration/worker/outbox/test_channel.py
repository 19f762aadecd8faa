"""The seam between an outbox and its channel: what a channel answers decides how a row goes on."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, RowMapping, select

import factories
from chronos_common import clock
from chronos_common.storage import tables
from chronos_common.storage.outbox import failure_emails
from chronos_common.storage.outbox.outbox import FIRST_DELAY
from chronos_worker.delivery import Announcement, Delivery, NotDelivered, Refusal
from chronos_worker.outbox.failure_email_sender import FailureEmailSender
from factories import Workspace
from mail_permissions import permission_for

RECIPIENTS = ("#operations", "#developers")


class Chat:
    """A channel whose recipients are no e-mail addresses."""

    longest_send = timedelta(seconds=1)

    def __init__(self) -> None:
        self.answers: list[Delivery | NotDelivered] = []
        self.calls: list[tuple[Announcement, Sequence[str], set[str]]] = []

    def send(
        self,
        announcement: Announcement,
        recipients: Sequence[str],
        *,
        settled: Collection[str] = (),
    ) -> Delivery:
        self.calls.append((announcement, recipients, set(settled)))
        answer = self.answers.pop(0)
        if isinstance(answer, NotDelivered):
            raise answer
        return answer


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
def sender(engine: Engine, chat: Chat) -> FailureEmailSender:
    return FailureEmailSender(
        engine, chat, permission_for(engine), public_url="http://chronos.example.com"
    )


@pytest.fixture
def failure(engine: Engine, workspace: Workspace, now: datetime) -> UUID:
    """A job that has failed; its row waits in the outbox."""
    with engine.begin() as connection:
        job_id = factories.job(
            connection, workspace, factories.every(3600, anchor=now), now=now, notify=RECIPIENTS
        )
        factories.fail(connection, workspace, job_id, now=now)
    return job_id


def _send_due(engine: Engine, sender: FailureEmailSender, *, at: datetime) -> RowMapping:
    """Send what is due; return the outbox's only row."""
    with engine.begin() as connection:
        taken = failure_emails.outbox.take(connection, batch=10, now=at)
    sender.send(taken, at)
    with engine.connect() as connection:
        return connection.execute(select(tables.notifications)).mappings().one()


@pytest.mark.parametrize("permanent", [True, False])
def test_a_failure_of_the_channel_ends_the_row_only_if_it_is_permanent(
    engine: Engine,
    sender: FailureEmailSender,
    chat: Chat,
    failure: UUID,
    now: datetime,
    *,
    permanent: bool,
) -> None:
    assert failure
    chat.answers = [NotDelivered("The chat is closed.", permanent=permanent)]
    row = _send_due(engine, sender, at=now)
    assert (row["error"], row["sent_at"]) == ("The chat is closed.", None)
    assert (row["abandoned_at"] is not None) == permanent


def test_a_later_attempt_names_the_recipients_that_are_settled(
    engine: Engine, sender: FailureEmailSender, chat: Chat, failure: UUID, now: datetime
) -> None:
    assert failure
    deferred = {"#developers": Refusal("Busy.", is_permanent=False)}
    chat.answers = [
        Delivery("chat", ["#operations"], deferred),
        Delivery("chat", ["#developers"]),
    ]
    row = _send_due(engine, sender, at=now)
    assert (row["error"], row["sent_at"]) == ("#developers: Busy.", None)
    row = _send_due(engine, sender, at=clock.now() + FIRST_DELAY)
    assert row["sent_at"] is not None
    assert [(list(to), settled) for _, to, settled in chat.calls] == [
        (list(RECIPIENTS), set()),
        (list(RECIPIENTS), {"#operations"}),
    ]
    first, second = (announcement for announcement, _, _ in chat.calls)
    assert first.subject == "[Chronos] Ping failed"
    # A repetition has the same id, by which a channel may recognise it.
    assert first.id == second.id == row["id"]

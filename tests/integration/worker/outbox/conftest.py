"""A mail server, and the channel that sends to it."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mail_servers
from chronos_worker.channels.email import EmailChannel
from chronos_worker.emails.mailer import Mailer
from mail_servers import MailServer


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_servers.serving() as server:
        yield server


@pytest.fixture
def channel(server: MailServer) -> EmailChannel:
    settings: Any = SimpleNamespace(
        smtp_url=server.url,
        mail_from="chronos@example.com",
        mail_dir=Path("/nowhere"),
        email_recipient_domains=(),
    )
    return EmailChannel(Mailer(settings))

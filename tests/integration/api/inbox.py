"""The mail of the API's users, as a worker sends it from the outbox."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from sqlalchemy import Engine, select

from chronos_common import clock
from chronos_common.storage.tables import letters
from chronos_worker.channels.email import EmailChannel
from chronos_worker.emails.mailer import Mailer
from chronos_worker.emails.permission import MailPermission
from chronos_worker.outbox.account_email_sender import AccountEmailSender
from integration.api.api_settings import settings_for

_TOKEN = re.compile(r"^    (\S{43})\r?$", flags=re.MULTILINE)
_PAGE = re.compile(r"^https://chronos.example(/ui/\S+)\r?$", flags=re.MULTILINE)


class Inbox:
    """Sends what waits in the outbox, and reads what arrived."""

    def __init__(self, db: Engine, folder: Path) -> None:
        url = db.url.render_as_string(hide_password=False)
        settings = settings_for(url, "redis://127.0.0.1:9/0", smtp_url="", mail_dir=folder)
        self._db = db
        self._folder = folder
        self._sender = AccountEmailSender(
            db,
            EmailChannel(Mailer(settings)),
            MailPermission(db, settings),
            public_url="https://chronos.example",
        )

    def collect(self) -> None:
        """Send every e-mail that was not sent yet."""
        with self._db.connect() as connection:
            query = select(letters.c.id).where(
                letters.c.sent_at.is_(None), letters.c.abandoned_at.is_(None)
            )
            waiting = list(connection.execute(query).scalars())
        self._sender.send(waiting, clock.now())

    def of(self, address: str) -> list[EmailMessage]:
        """Return the mail to an address, the oldest first."""
        self.collect()
        found = []
        for path in sorted(self._folder.glob("*.eml")):
            message = message_from_bytes(path.read_bytes(), policy=policy.default)
            if message["To"].lower() == address.lower():
                found.append(message)
        return found

    def token_of(self, address: str) -> str:
        """Return the token in the newest mail to an address."""
        (token,) = _TOKEN.findall(self.of(address)[-1].get_content())
        return str(token)

    def page_of(self, address: str) -> str:
        """Return the path of the dashboard's page in the newest mail to an address."""
        found = _PAGE.findall(self.of(address)[-1].get_content())
        return str(found[0])

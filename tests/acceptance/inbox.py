"""A real SMTP server that keeps what it gets."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from chronos_common.embedded.processes import ports


class Inbox:
    """The messages that arrived, in their order."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.url = ""

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name for it
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 OK"

    def to(self, address: str, *, about: str = "") -> list[EmailMessage]:
        """Return what arrived for an address, with ``about`` in the subject."""
        return [
            message
            for message in self.messages
            if address in str(message["To"]) and about in str(message["Subject"])
        ]


@contextmanager
def open_inbox() -> Iterator[Inbox]:
    """Receive mail on a free port of the loopback."""
    inbox = Inbox()
    port = ports.free()
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        inbox.url = f"smtp://127.0.0.1:{port}"
        yield inbox
    finally:
        controller.stop()

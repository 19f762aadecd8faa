"""Senders of e-mails: an address, alone or with a name."""

from email.utils import parseaddr
from typing import NamedTuple

from chronos_common.domain.addresses import ascii_address
from chronos_common.domain.texts import line_fault


class Sender(NamedTuple):
    """Who an e-mail is from; ``name`` may be empty, ``address`` is ASCII."""

    name: str
    address: str

    @classmethod
    def parse(cls, text: str) -> "Sender":
        """Return the sender of ``address`` or ``Name <address>``.

        Raises :class:`ValueError`, in words, for what is neither.
        """
        if fault := line_fault(text):
            raise ValueError(fault)
        name, address = parseaddr(text)
        # The parser passes over what it does not understand.
        if _letters(text) != _letters(name + address):
            raise ValueError(
                'must be like chronos@example.com, or like "Chronos, Inc." <chronos@example.com>'
            )
        return cls(name, ascii_address(address))


def _letters(text: str) -> str:
    return "".join(each for each in text if each not in '"\\<> ')

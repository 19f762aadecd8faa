"""Deliveries: the contract between the senders of announcements and the channels.

A channel delivers an announcement to its recipients. The result names each recipient, so that a
later attempt can leave out those that have it and those that will never get it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple, Protocol
from uuid import UUID

from chronos_common.errors import ChronosError


@dataclass(frozen=True, slots=True)
class Announcement:
    """A text for people. The same ``id`` marks a repetition of the same announcement."""

    id: UUID
    subject: str
    text: str


class Refusal(NamedTuple):
    """Why an announcement was not accepted for one recipient."""

    reason: str
    is_permanent: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of one attempt: the recipients that have it now, and those that were refused.

    ``via`` names the server or the folder that accepted it.
    """

    via: str
    accepted: Sequence[str]
    refused: Mapping[str, Refusal] = field(default_factory=dict)

    @property
    def refused_for_good(self) -> dict[str, str]:
        """The recipients that will never get it, with the reasons."""
        return {each: why.reason for each, why in self.refused.items() if why.is_permanent}

    @property
    def deferred(self) -> dict[str, str]:
        """The recipients that may get it from a later attempt, with the reasons."""
        return {each: why.reason for each, why in self.refused.items() if not why.is_permanent}


class NotDelivered(ChronosError):
    """No recipient was accepted, for a reason that lies with none of them.

    ``permanent`` is true if trying again cannot help.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class Channel(Protocol):
    """A way to reach people: one module in ``channels``."""

    #: The longest time that one ``send`` may take.
    longest_send: timedelta

    def send(
        self,
        announcement: Announcement,
        recipients: Sequence[str],
        *,
        settled: Collection[str] = (),
    ) -> Delivery:
        """Send to the recipients, except those that earlier attempts have ``settled``.

        ``settled`` holds recipients as earlier deliveries named them. Raises
        :class:`NotDelivered`, or :class:`chronos_common.errors.Invalid` for an announcement that
        this channel can never carry.
        """

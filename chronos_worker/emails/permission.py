"""Whether a workspace may send e-mails: its owner is verified, and quota and threads have room.

A user who registers with an address has not shown yet that the address is theirs. Where a mail
server is set, such an account could mail strangers in the operator's name.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from uuid import UUID

from sqlalchemy import Connection, Engine

from chronos_common import clock
from chronos_common.quotas import MAILS, QuotaExceeded
from chronos_common.settings import Settings
from chronos_common.storage import quotas
from chronos_common.storage.accounts import workspaces
from chronos_common.storage.postgres.database import transaction
from chronos_worker.delivery import Delivery, NotDelivered
from chronos_worker.emails.thread_shares import ThreadShares, threads_of

_NOT_VERIFIED = (
    "No owner of the workspace has verified their e-mail address, so that it sends no e-mails. "
    "An owner gets the e-mail for it by POST /api/v1/auth/email/resend."
)


class NotPermitted(NotDelivered):
    """The workspace may not send this e-mail now."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, permanent=True)


class Sending:
    """A sending to some recipients. ``delivery`` tells how it ended."""

    def __init__(self) -> None:
        self.delivery: Delivery | None = None


#: Surrounds a sending by a workspace to so many recipients.
Permit = Callable[[UUID, int], AbstractContextManager[Sending]]


def unlimited(_workspace_id: UUID, _recipients: int) -> AbstractContextManager[Sending]:
    """Permit a sending without a question."""
    return nullcontext(Sending())


class MailPermission:
    """Permits the e-mails of one queue, and counts their recipients. Thread-safe."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        #: Also lends threads to e-mails that belong to no workspace.
        self.threads = ThreadShares(threads_of(settings))

    @contextmanager
    def sending(self, workspace_id: UUID, recipients: int) -> Iterator[Sending]:
        """Surround a sending. Recipients that did not get the e-mail are not counted in the end.

        Raises :class:`NotPermitted`, and :class:`~chronos_worker.exhaustion.Exhausted` if the
        workspace's e-mails hold its share of the threads.
        """
        with self.threads.lent(workspace_id), self._counted(workspace_id, recipients) as sending:
            yield sending

    @contextmanager
    def _counted(self, workspace_id: UUID, recipients: int) -> Iterator[Sending]:
        with transaction(self._engine) as connection:
            self._check_owner(connection, workspace_id)
            self._spend(connection, workspace_id, recipients)
        sending = Sending()
        try:
            yield sending
        finally:
            accepted = len(sending.delivery.accepted) if sending.delivery else 0
            if accepted < recipients:
                with transaction(self._engine) as connection:
                    self._spend(connection, workspace_id, accepted - recipients)

    def check(self, workspace_id: UUID) -> None:
        """Check a sending that is not counted here. Raises :class:`NotPermitted`."""
        with transaction(self._engine) as connection:
            self._check_owner(connection, workspace_id)

    def _check_owner(self, connection: Connection, workspace_id: UUID) -> None:
        is_needed = bool(self._settings.smtp_url)
        if is_needed and not workspaces.has_verified_owner(connection, workspace_id):
            raise NotPermitted(_NOT_VERIFIED)

    def _spend(self, connection: Connection, workspace_id: UUID, recipients: int) -> None:
        try:
            quotas.spend(
                connection,
                workspace_id,
                {MAILS: recipients},
                settings=self._settings,
                now=clock.now(),
            )
        except QuotaExceeded as error:
            raise NotPermitted(str(error)) from error

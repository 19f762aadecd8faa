"""Whether a workspace may send e-mails, where the operator has set a mail server, and to whom.

A user who registers with an address has not shown yet that the address is theirs. They could mail
strangers in the operator's name. Workers check it again (``chronos_worker.emails.permission``).
"""

from collections.abc import Sequence

from chronos_api.context import current
from chronos_api.transactions import Session
from chronos_common.domain.jobs import JobDefinition
from chronos_common.domain.payloads import EMAIL
from chronos_common.domain.payloads.email import RecipientRules
from chronos_common.errors import Forbidden, Invalid
from chronos_common.storage.accounts import workspaces

_TEXT = (
    "Only a workspace with an owner whose e-mail address is verified may send e-mails. An owner "
    "gets the e-mail for it by POST /api/v1/auth/email/resend."
)


class OwnerNotVerified(Forbidden):
    """No owner of the workspace has a verified e-mail address."""

    def __init__(self) -> None:
        super().__init__(_TEXT)


def check_job(session: Session, definition: JobDefinition) -> None:
    """Check a job that sends e-mails, or e-mails about its failures to others.

    Raises :class:`Invalid` with the fields that ask for them.
    """
    check_fields(session, definition.type, definition.notify or ())


def check_fields(session: Session, action_type: str, notify: Sequence[str] = ()) -> None:
    """Check a type of job, and the recipients of its failures. Raises :class:`Invalid`."""
    asking = {"type": action_type == EMAIL.name, "notify": bool(notify)}
    fields = [name for name, asks in asking.items() if asks]
    if fields and not _may_send(session):
        raise Invalid({name: [_TEXT] for name in fields})


def check_owner(session: Session) -> None:
    """Check that the workspace may send. Raises :class:`OwnerNotVerified`."""
    if not _may_send(session):
        raise OwnerNotVerified


def check_recipients(name: str, addresses: Sequence[str]) -> None:
    """Check addresses of the field ``name``. Raises :class:`Invalid`."""
    rules = RecipientRules(current().settings.email_recipient_domains)
    if faults := rules.faults(name, addresses):
        raise Invalid(faults)


def _may_send(session: Session) -> bool:
    if not current().settings.smtp_url:
        return True
    return workspaces.has_verified_owner(session.connection, session.workspace_id)

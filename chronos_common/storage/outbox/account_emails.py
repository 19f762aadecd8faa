"""The statements on ``letters``: the outbox of e-mails about accounts.

A row holds no token. Its sender makes one just before sending, stores its hash with the subject,
and forgets it. So no token can be read from the database.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, text, update

from chronos_common import ids
from chronos_common.storage.outbox.outbox import Outbox
from chronos_common.storage.tables import email_tokens, invitations, letters, registrations

outbox = Outbox(letters)


class AccountEmailKind(StrEnum):
    """The subject of an e-mail, whose row ``subject_id`` names."""

    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - the name of a kind
    EMAIL_VERIFICATION = "email_verification"
    REGISTRATION = "registration"


#: The table of each kind's subject.
_SUBJECTS = {
    AccountEmailKind.INVITATION: invitations,
    AccountEmailKind.PASSWORD_RESET: email_tokens,
    AccountEmailKind.EMAIL_VERIFICATION: email_tokens,
    AccountEmailKind.REGISTRATION: registrations,
}


def enqueue(
    connection: Connection, kind: AccountEmailKind, subject_id: UUID, *, now: datetime
) -> None:
    """Queue an e-mail. Without such a subject it will have no recipient."""
    connection.execute(
        insert(letters).values(
            id=ids.new_id(now),
            kind=kind,
            subject_id=subject_id,
            created_at=now,
            due_at=now,
            attempts=0,
        )
    )


@dataclass(frozen=True, slots=True)
class AccountEmail:
    """The facts of an e-mail. ``recipient`` is None if its subject is gone, used or expired.

    ``role``, ``workspace_id``, ``workspace_name`` and ``invited_by`` belong to invitations, and
    ``has_account`` to registrations.
    """

    id: UUID
    kind: str
    subject_id: UUID
    recipient: str | None
    expires_at: datetime | None
    role: str | None
    workspace_id: UUID | None
    workspace_name: str | None
    invited_by: str | None
    has_account: bool


_LOAD = text("""
    SELECT l.id, l.kind, l.subject_id, COALESCE(i.email, u.email, r.email) AS recipient,
           COALESCE(i.expires_at, t.expires_at, r.expires_at) AS expires_at,
           i.role, i.workspace_id, w.name AS workspace_name, owner.email AS invited_by,
           EXISTS (SELECT FROM users a WHERE a.email_key = r.email_key) AS has_account
      FROM letters l
      LEFT JOIN invitations i ON l.kind = 'invitation' AND i.id = l.subject_id
           AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > :now
      LEFT JOIN workspaces w ON w.id = i.workspace_id
      LEFT JOIN users owner ON owner.id = i.invited_by
      LEFT JOIN email_tokens t ON l.kind = t.purpose AND t.id = l.subject_id
           AND t.used_at IS NULL AND t.expires_at > :now
      LEFT JOIN registrations r ON l.kind = 'registration' AND r.id = l.subject_id
           AND r.expires_at > :now
      LEFT JOIN users u ON u.id = t.user_id AND u.disabled_at IS NULL
     WHERE l.id = :id AND l.sent_at IS NULL AND l.abandoned_at IS NULL""")


def load(connection: Connection, identifier: UUID, *, now: datetime) -> AccountEmail | None:
    """Return an e-mail, unless it was sent or given up."""
    row = connection.execute(_LOAD, {"id": identifier, "now": now}).mappings().one_or_none()
    return AccountEmail(**dict[str, Any](row)) if row else None


def set_token(connection: Connection, account_email: AccountEmail, token_sha256: str) -> None:
    """Store the hash of the token that the e-mail will hold. Earlier tokens become invalid."""
    table = _SUBJECTS[AccountEmailKind(account_email.kind)]
    connection.execute(
        update(table)
        .where(table.c.id == account_email.subject_id)
        .values(token_sha256=token_sha256)
    )

"""The statements on ``invitations`` into a workspace.

An invitation is open until it is accepted, revoked or expired. Its token is only in the e-mail.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, insert, select, text, update

from chronos_common.domain.addresses import email_key
from chronos_common.storage import pages
from chronos_common.storage.tables import invitations, users

_WITH_HOST = select(invitations, users.c.email.label("invited_by_email")).join(
    users, users.c.id == invitations.c.invited_by, isouter=True
)
_UNUSED = (invitations.c.accepted_at.is_(None), invitations.c.revoked_at.is_(None))


def insert_invitation(
    connection: Connection,
    invitation_id: UUID,
    *,
    workspace_id: UUID,
    email: str,
    role: str,
    invited_by: UUID,
    expires_at: datetime,
    now: datetime,
) -> None:
    """Store an invitation. An open one for the same address must be revoked before."""
    connection.execute(
        insert(invitations).values(
            id=invitation_id,
            workspace_id=workspace_id,
            email=email,
            role=role,
            invited_by=invited_by,
            created_at=now,
            expires_at=expires_at,
        )
    )


def page(
    connection: Connection,
    workspace_id: UUID,
    *,
    after: UUID | None,
    offset: int,
    limit: int,
    now: datetime,
) -> tuple[Sequence[RowMapping], int]:
    """Return some open invitations, the latest first, and their number."""
    query = _WITH_HOST.where(
        invitations.c.workspace_id == workspace_id, *_UNUSED, invitations.c.expires_at > now
    )
    return pages.page(connection, query, invitations.c.id, after=after, offset=offset, limit=limit)


def find(connection: Connection, workspace_id: UUID, invitation_id: UUID) -> RowMapping | None:
    """Return an invitation of the workspace in any state, or None."""
    query = _WITH_HOST.where(
        invitations.c.workspace_id == workspace_id, invitations.c.id == invitation_id
    )
    return connection.execute(query).mappings().one_or_none()


def revoke(
    connection: Connection, workspace_id: UUID, invitation_id: UUID, *, now: datetime
) -> bool:
    """Revoke the invitation. Return False if there is no open one."""
    revoked = connection.execute(
        update(invitations)
        .where(
            invitations.c.workspace_id == workspace_id,
            invitations.c.id == invitation_id,
            *_UNUSED,
        )
        .values(revoked_at=now)
    )
    return revoked.rowcount > 0


def revoke_of_address(
    connection: Connection, workspace_id: UUID, email: str, *, now: datetime
) -> None:
    """Revoke every open invitation of that address. Upper and lower case are the same."""
    connection.execute(
        update(invitations)
        .where(
            invitations.c.workspace_id == workspace_id,
            invitations.c.email_key == email_key(email),
            *_UNUSED,
        )
        .values(revoked_at=now)
    )


def revoke_all(connection: Connection, workspace_id: UUID, *, now: datetime) -> None:
    """Revoke every open invitation into the workspace."""
    connection.execute(
        update(invitations)
        .where(
            invitations.c.workspace_id == workspace_id,
            invitations.c.accepted_at.is_(None),
            invitations.c.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )


def revoke_of_inviter(
    connection: Connection, user_id: UUID, *, workspace_id: UUID | None = None, now: datetime
) -> int:
    """Revoke the open invitations of the user, in the workspace or in all. Return their number."""
    query = update(invitations).where(
        invitations.c.invited_by == user_id,
        invitations.c.accepted_at.is_(None),
        invitations.c.revoked_at.is_(None),
    )
    if workspace_id is not None:
        query = query.where(invitations.c.workspace_id == workspace_id)
    return connection.execute(query.values(revoked_at=now)).rowcount


def find_open(
    connection: Connection, token_sha256: str, *, lock: bool, now: datetime
) -> RowMapping | None:
    """Return the open invitation with that token, or None. ``lock`` keeps others from it."""
    query = select(invitations).where(
        invitations.c.token_sha256 == token_sha256, *_UNUSED, invitations.c.expires_at > now
    )
    query = query.with_for_update() if lock else query
    return connection.execute(query).mappings().one_or_none()


def accept(connection: Connection, invitation_id: UUID, *, now: datetime) -> None:
    """Mark the invitation as accepted. Its token becomes invalid."""
    connection.execute(
        update(invitations)
        .where(invitations.c.id == invitation_id)
        .values(accepted_at=now, token_sha256=None)
    )


_PRUNE = text("DELETE FROM invitations WHERE expires_at < :before")


def prune(connection: Connection, *, before: datetime) -> int:
    """Remove invitations that expired before ``before``, and return their number."""
    return connection.execute(_PRUNE, {"before": before}).rowcount


_TO_ADDRESS = text("""
    SELECT count(*) FROM invitations WHERE email_key = :email_key AND created_at > :since""")


def count_to_address(connection: Connection, email: str, *, since: datetime) -> int:
    """Return the number of invitations to an address since then, from all workspaces."""
    parameters = {"email_key": email_key(email), "since": since}
    return int(connection.execute(_TO_ADDRESS, parameters).scalar_one())

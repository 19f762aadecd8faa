"""The statements on accounts: users, workspaces, memberships and refresh tokens."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    exists,
    func,
    insert,
    select,
    text,
    update,
)

from chronos_common.storage.tables import memberships, refresh_tokens, users, workspaces


def insert_user(
    connection: Connection, user_id: UUID, *, email: str, password_hash: str, now: datetime
) -> None:
    """Store a new user. Raises ``IntegrityError`` if the address is taken in any case."""
    connection.execute(
        insert(users).values(id=user_id, email=email, password_hash=password_hash, created_at=now)
    )


def insert_workspace(
    connection: Connection, workspace_id: UUID, *, name: str, signing_secret: str, now: datetime
) -> None:
    """Store a new workspace; ``signing_secret`` has the form ``whsec_<base64>``."""
    connection.execute(
        insert(workspaces).values(
            id=workspace_id, name=name, signing_secret=signing_secret, created_at=now
        )
    )


def insert_membership(
    connection: Connection, *, workspace_id: UUID, user_id: UUID, role: str, now: datetime
) -> None:
    """Make the user a member of the workspace with ``role`` owner, editor or viewer."""
    connection.execute(
        insert(memberships).values(
            workspace_id=workspace_id, user_id=user_id, role=role, created_at=now
        )
    )


def find_by_email(connection: Connection, email: str) -> RowMapping | None:
    """Return the user of that address, in whatever case, or None."""
    query = select(users).where(func.lower(users.c.email) == email.lower())
    return connection.execute(query).mappings().one_or_none()


def find_member(connection: Connection, user_id: UUID) -> RowMapping | None:
    """Return an enabled user with the workspace joined first, or None.

    The row has ``role``, ``workspace_id``, ``workspace_name`` and ``signing_secret``.
    """
    return connection.execute(_member(user_id)).mappings().one_or_none()


def find_logged_in(connection: Connection, user_id: UUID, family_id: UUID) -> RowMapping | None:
    """Return what ``find_member`` does, but None if the login ``family_id`` was ended."""
    of_family = (refresh_tokens.c.family_id == family_id, refresh_tokens.c.user_id == user_id)
    query = _member(user_id).where(
        exists().where(*of_family),
        ~exists().where(*of_family, refresh_tokens.c.revoked_at.is_not(None)),
    )
    return connection.execute(query).mappings().one_or_none()


def _member(user_id: UUID) -> Select[Any]:
    return (
        select(
            users.c.id,
            users.c.email,
            users.c.created_at,
            memberships.c.role,
            memberships.c.workspace_id,
            workspaces.c.name.label("workspace_name"),
            workspaces.c.signing_secret,
        )
        .join(memberships, memberships.c.user_id == users.c.id)
        .join(workspaces, workspaces.c.id == memberships.c.workspace_id)
        .where(users.c.id == user_id, users.c.disabled_at.is_(None))
        .order_by(memberships.c.created_at, memberships.c.workspace_id)
        .limit(1)
    )


def insert_refresh_token(
    connection: Connection,
    token_id: UUID,
    *,
    user_id: UUID,
    family_id: UUID,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Store a refresh token's id. A family is what one login grew into by rotation."""
    connection.execute(
        insert(refresh_tokens).values(
            id=token_id,
            user_id=user_id,
            family_id=family_id,
            issued_at=now,
            expires_at=expires_at,
        )
    )


# A token that a rotation stored while its family was being ended is not marked itself.
_USE = text("""
    UPDATE refresh_tokens t SET used_at = :now
     WHERE id = :id AND used_at IS NULL AND expires_at > :now
       AND NOT EXISTS (SELECT FROM refresh_tokens r
                        WHERE r.family_id = t.family_id AND r.revoked_at IS NOT NULL)
 RETURNING family_id""")


def use_refresh_token(connection: Connection, token_id: UUID, *, now: datetime) -> UUID | None:
    """Use the token up and return its family; None if it was used, revoked or is expired."""
    return connection.execute(_USE, {"id": token_id, "now": now}).scalar_one_or_none()


def family_of(connection: Connection, token_id: UUID) -> UUID | None:
    """Return the family of a refresh token, whatever its state, or None if it is unknown."""
    query = select(refresh_tokens.c.family_id).where(refresh_tokens.c.id == token_id)
    return connection.execute(query).scalar_one_or_none()


def revoke_family(connection: Connection, family_id: UUID, *, now: datetime) -> None:
    """End every refresh token of a login, and with it the access tokens made from them."""
    connection.execute(
        update(refresh_tokens)
        .where(refresh_tokens.c.family_id == family_id, refresh_tokens.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def is_revoked(connection: Connection, family_id: UUID) -> bool:
    """Tell whether a login was ended; a family that was never stored counts as ended."""
    query = select(
        func.coalesce(func.bool_or(refresh_tokens.c.revoked_at.is_not(None)), True)
    ).where(refresh_tokens.c.family_id == family_id)
    return bool(connection.execute(query).scalar_one())


def prune_refresh_tokens(connection: Connection, *, before: datetime) -> int:
    """Remove refresh tokens that expired before ``before``; return how many."""
    query = text("DELETE FROM refresh_tokens WHERE expires_at < :before")
    return connection.execute(query, {"before": before}).rowcount

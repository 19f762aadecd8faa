"""The statements on users and their refresh tokens. Workspaces are in ``workspaces``."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Connection,
    RowMapping,
    insert,
    select,
    text,
    update,
)

from chronos_common.domain.addresses import email_key
from chronos_common.storage import pages
from chronos_common.storage.tables import memberships, refresh_tokens, users, workspaces


def insert_user(
    connection: Connection, user_id: UUID, *, email: str, password_hash: str, now: datetime
) -> None:
    """Store a new user. Raises ``IntegrityError`` if the address is taken in any case."""
    connection.execute(
        insert(users).values(id=user_id, email=email, password_hash=password_hash, created_at=now)
    )


# The lock lets only one of several first accounts see that it is the first.
_FIRST_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('chronos first account'))")
_MAKE_OPERATOR = text("""
    UPDATE users SET is_operator = true
     WHERE id = :id AND NOT EXISTS (SELECT FROM users WHERE id <> :id)""")


def make_first_operator(connection: Connection, user_id: UUID) -> None:
    """Make a new user the operator, if there is no other user."""
    connection.execute(_FIRST_LOCK)
    connection.execute(_MAKE_OPERATOR, {"id": user_id})


def set_operator(connection: Connection, user_id: UUID) -> None:
    """Make the user an operator of the installation."""
    connection.execute(update(users).where(users.c.id == user_id).values(is_operator=True))


def insert_workspace(
    connection: Connection, workspace_id: UUID, *, name: str, signing_secret: str, now: datetime
) -> None:
    """Store a new workspace. ``signing_secret`` has the form ``whsec_<base64>``."""
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
    """Return the user of that address, or None. Upper and lower case are the same."""
    query = select(users).where(users.c.email_key == email_key(email))
    return connection.execute(query).mappings().one_or_none()


def find(connection: Connection, user_id: UUID, *, lock: bool = False) -> RowMapping | None:
    """Return the user, disabled or not, or None. ``lock`` keeps others from changing them.

    A statement that ends the logins of a user locks the user first. So does one whose effect
    outlives a login.
    """
    query = select(users).where(users.c.id == user_id)
    query = query.with_for_update(key_share=True) if lock else query
    return connection.execute(query).mappings().one_or_none()


def first_workspace_of(connection: Connection, user_id: UUID) -> UUID | None:
    """Return the workspace that the user joined first, or None."""
    query = (
        select(memberships.c.workspace_id)
        .where(memberships.c.user_id == user_id)
        .order_by(memberships.c.created_at, memberships.c.workspace_id)
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none()


def set_password(connection: Connection, user_id: UUID, password_hash: str) -> None:
    """Replace the user's password."""
    connection.execute(
        update(users).where(users.c.id == user_id).values(password_hash=password_hash)
    )


def set_verified(connection: Connection, user_id: UUID, *, now: datetime) -> bool:
    """Mark the address of the user as verified. Return False if it was verified before."""
    query = update(users).where(users.c.id == user_id, users.c.verified_at.is_(None))
    return connection.execute(query.values(verified_at=now)).rowcount > 0


def set_disabled(connection: Connection, user_id: UUID, disabled_at: datetime | None) -> None:
    """Disable the user from that instant, or enable them (None)."""
    connection.execute(update(users).where(users.c.id == user_id).values(disabled_at=disabled_at))


def is_last_operator(connection: Connection, user_id: UUID) -> bool:
    """Return whether the user is the only operator of this installation."""
    operators = connection.execute(_OPERATORS).scalars().all()
    return list(operators) == [user_id]


# Locked, so that two operators do not leave at once.
_OPERATORS = text("""
    SELECT id FROM users WHERE is_operator AND disabled_at IS NULL
     ORDER BY id FOR UPDATE""")


def delete(connection: Connection, user_id: UUID) -> None:
    """Remove a user with their logins, keys, tokens and memberships. Jobs they made stay."""
    connection.execute(_DELETE, {"id": user_id})


_DELETE = text("DELETE FROM users WHERE id = :id")


def page(
    connection: Connection,
    *,
    search: str | None,
    after: UUID | None,
    offset: int,
    limit: int,
) -> tuple[Sequence[RowMapping], int]:
    """Return some accounts, the oldest first, and their number (see :func:`pages.page`).

    ``search`` is a part of the address.
    """
    query = select(users)
    if search:
        query = query.where(users.c.email.icontains(search, autoescape=True))
    return pages.page(
        connection, query, users.c.id, after=after, offset=offset, limit=limit, ascending=True
    )


def insert_refresh_token(
    connection: Connection,
    token_id: UUID,
    *,
    user_id: UUID,
    family_id: UUID,
    now: datetime,
    expires_at: datetime,
    user_agent: str | None = None,
    address: str | None = None,
) -> None:
    """Store a refresh token's id. A family is the tokens of one login, one after the other.

    ``user_agent`` and ``address`` are those of the program that it is for.
    """
    connection.execute(
        insert(refresh_tokens).values(
            id=token_id,
            user_id=user_id,
            family_id=family_id,
            issued_at=now,
            expires_at=expires_at,
            user_agent=user_agent,
            address=address,
        )
    )


# A token that a rotation stored while its family was being revoked has no mark itself.
_USE = text("""
    UPDATE refresh_tokens t SET used_at = :now
     WHERE id = :id AND used_at IS NULL AND expires_at > :now
       AND NOT EXISTS (SELECT FROM refresh_tokens r
                        WHERE r.family_id = t.family_id AND r.revoked_at IS NOT NULL)
 RETURNING family_id""")


_LOGINS = text("""
    SELECT family_id AS id, min(issued_at) AS started_at, max(expires_at) AS expires_at,
           max(revoked_at) AS ended_at,
           (array_agg(user_agent ORDER BY issued_at DESC))[1] AS user_agent,
           (array_agg(address ORDER BY issued_at DESC))[1] AS address
      FROM refresh_tokens WHERE user_id = :user_id
     GROUP BY family_id ORDER BY started_at DESC LIMIT 1000""")


def logins_of(connection: Connection, user_id: UUID) -> Sequence[RowMapping]:
    """Return the latest thousand logins of the user that have not expired."""
    return connection.execute(_LOGINS, {"user_id": user_id}).mappings().all()


# The latest token says from where a login was last used.
_SESSIONS = text("""
    SELECT family_id AS id, min(issued_at) AS started_at, max(issued_at) AS last_used_at,
           max(expires_at) AS expires_at,
           (array_agg(user_agent ORDER BY issued_at DESC))[1] AS user_agent,
           (array_agg(address ORDER BY issued_at DESC))[1] AS address
      FROM refresh_tokens WHERE user_id = :user_id
     GROUP BY family_id HAVING bool_and(revoked_at IS NULL) AND max(expires_at) > :now
     ORDER BY last_used_at DESC, family_id LIMIT 1000""")


def sessions_of(connection: Connection, user_id: UUID, *, now: datetime) -> Sequence[RowMapping]:
    """Return the thousand logins of the user that were used last, without those that ended."""
    return connection.execute(_SESSIONS, {"user_id": user_id, "now": now}).mappings().all()


def use_refresh_token(connection: Connection, token_id: UUID, *, now: datetime) -> UUID | None:
    """Use the token and return its family. None if it was used, revoked or has expired."""
    return connection.execute(_USE, {"id": token_id, "now": now}).scalar_one_or_none()


# The first token says when the login began. A revoked one ends it, also for a token that a
# rotation has stored meanwhile.
_FORGET = text("""
    DELETE FROM refresh_tokens t
     WHERE family_id = :family_id AND id <> :last AND revoked_at IS NULL
       AND (used_at IS NOT NULL OR :unused)
       AND EXISTS (SELECT FROM refresh_tokens e
                    WHERE e.family_id = t.family_id AND e.issued_at < t.issued_at)""")


def forget_refresh_tokens(
    connection: Connection, family_id: UUID, *, last: UUID, unused: bool = False
) -> None:
    """Remove tokens between the first of a login and its ``last``, and also ``unused`` ones.

    A login is read with every request, so it must stay short. A token that is unknown ends its
    login like one that was used.
    """
    parameters = {"family_id": family_id, "last": last, "unused": unused}
    connection.execute(_FORGET, parameters)


def revoke_family(connection: Connection, family_id: UUID, *, now: datetime) -> bool:
    """End every refresh token of a login, and with it the access tokens made from them.

    True if it was not ended before.
    """
    ended = connection.execute(
        update(refresh_tokens)
        .where(refresh_tokens.c.family_id == family_id, refresh_tokens.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return ended.rowcount > 0


def revoke_family_of(
    connection: Connection, user_id: UUID, family_id: UUID, *, now: datetime
) -> bool:
    """End a login of this user, as :func:`revoke_family` does."""
    ended = connection.execute(
        update(refresh_tokens)
        .where(
            refresh_tokens.c.family_id == family_id,
            refresh_tokens.c.user_id == user_id,
            refresh_tokens.c.revoked_at.is_(None),
            refresh_tokens.c.expires_at > now,
        )
        .values(revoked_at=now)
    )
    return ended.rowcount > 0


_REVOKE_ALL = text("""
    UPDATE refresh_tokens SET revoked_at = :now
     WHERE user_id = :user_id AND revoked_at IS NULL
       AND family_id IS DISTINCT FROM CAST(:but AS uuid)
 RETURNING family_id""")


def revoke_all_families(
    connection: Connection, user_id: UUID, *, but: UUID | None = None, now: datetime
) -> int:
    """End every login of the user except ``but``, and return their number."""
    rows = connection.execute(_REVOKE_ALL, {"user_id": user_id, "but": but, "now": now})
    return len(set(rows.scalars()))


def prune_refresh_tokens(connection: Connection, *, before: datetime) -> int:
    """Remove refresh tokens that expired before ``before``, and return their number."""
    query = text("DELETE FROM refresh_tokens WHERE expires_at < :before")
    return connection.execute(query, {"before": before}).rowcount

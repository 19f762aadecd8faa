"""The statements on ``device_logins``: programs that ask a person to let them in (RFC 8628).

1. :func:`request` stores a program's wish, with a code for a person and a secret for the program.
2. A person finds the wish by the code, and :func:`decide` approves or refuses it, once.
3. The program asks by its secret. :func:`poll` also tells whether it asks too often.
4. :func:`take` removes an approved wish, so that it serves once.

Each step finds only what has not expired.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from chronos_common.storage.tables import device_logins


class Decision(StrEnum):
    """The answer of a person to a program's wish."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"


def request(
    connection: Connection,
    login_id: UUID,
    *,
    device_sha256: str,
    user_code: str,
    name: str,
    address: str | None,
    scopes: Sequence[str],
    interval_seconds: int,
    expires_at: datetime,
    now: datetime,
) -> bool:
    """Store a wish. Return False if another one has its ``user_code``."""
    stored = connection.execute(
        insert(device_logins)
        .values(
            id=login_id,
            device_sha256=device_sha256,
            user_code=user_code,
            name=name,
            address=address,
            scopes=list(scopes),
            interval_seconds=interval_seconds,
            decision=Decision.PENDING,
            created_at=now,
            expires_at=expires_at,
        )
        .on_conflict_do_nothing(index_elements=["user_code"])
    )
    return stored.rowcount > 0


def find_pending(connection: Connection, user_code: str, *, now: datetime) -> RowMapping | None:
    """Return the wish with that code that nobody has answered, or None."""
    query = select(device_logins).where(
        device_logins.c.user_code == user_code,
        device_logins.c.decision == Decision.PENDING,
        device_logins.c.expires_at > now,
    )
    return connection.execute(query).mappings().one_or_none()


def decide(
    connection: Connection,
    login_id: UUID,
    decision: Decision,
    *,
    rights: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Answer a wish that nobody has answered. Return False if there is none.

    An approval has the ``rights`` user_id, family_id, workspace_id, scopes and key_expires_at.
    """
    decided = connection.execute(
        update(device_logins)
        .where(
            device_logins.c.id == login_id,
            device_logins.c.decision == Decision.PENDING,
            device_logins.c.expires_at > now,
        )
        .values(decision=decision, **rights)
    )
    return decided.rowcount > 0


# The lock lets one of two polls side by side see that the other was just now.
_POLL = text("""
    WITH polled AS (
        SELECT id,
               COALESCE(polled_at + make_interval(secs => interval_seconds) > :now, false)
               AS is_early
          FROM device_logins
         WHERE device_sha256 = :device_sha256 AND expires_at > :now
           FOR UPDATE)
    UPDATE device_logins d
       SET polled_at = :now,
           interval_seconds = CASE WHEN p.is_early
                                   THEN LEAST(d.interval_seconds + :added, :longest)
                                   ELSE d.interval_seconds END
      FROM polled p
     WHERE d.id = p.id
 RETURNING d.*, p.is_early""")


def poll(
    connection: Connection, device_sha256: str, *, added: int, longest: int, now: datetime
) -> RowMapping | None:
    """Return the wish of a program, and note that it has asked. None if there is none.

    ``is_early`` says that it did not wait for ``interval_seconds``, which then become ``added``
    more, up to ``longest``.
    """
    values = {"device_sha256": device_sha256, "added": added, "longest": longest, "now": now}
    return connection.execute(_POLL, values).mappings().one_or_none()


def take(connection: Connection, login_id: UUID, *, now: datetime) -> bool:
    """Remove an approved wish. Return False if it was taken or has expired."""
    taken = connection.execute(
        delete(device_logins).where(
            device_logins.c.id == login_id,
            device_logins.c.decision == Decision.APPROVED,
            device_logins.c.expires_at > now,
        )
    )
    return taken.rowcount > 0


_PRUNE = text("DELETE FROM device_logins WHERE expires_at < :before")


def prune(connection: Connection, *, before: datetime) -> int:
    """Remove wishes that expired before ``before``, and return their number."""
    return connection.execute(_PRUNE, {"before": before}).rowcount

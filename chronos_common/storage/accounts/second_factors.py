"""The statements on ``second_factors``: the one-time passwords and recovery codes of users.

A user without a row, or with one that was not confirmed, logs in with the password alone. The
caller has locked the user before a change.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, delete, select, text

from chronos_common.storage.postgres.prepared_statements import prepared
from chronos_common.storage.tables import second_factors

_FIND = prepared(
    text("""
    SELECT user_id, salt, created_at, confirmed_at, last_step,
           cardinality(recovery_sha256) AS recovery_codes_left
      FROM second_factors WHERE user_id = :user_id""")
)


def find(connection: Connection, user_id: UUID) -> RowMapping | None:
    """Return the second factor of the user, confirmed or not, or None."""
    return connection.execute(_FIND, {"user_id": user_id}).mappings().one_or_none()


# One that is confirmed stays as it is.
_BEGIN = text("""
    INSERT INTO second_factors (user_id, salt, created_at, last_step)
    VALUES (:user_id, :salt, :now, 0)
    ON CONFLICT (user_id) DO UPDATE SET salt = excluded.salt, created_at = excluded.created_at
     WHERE second_factors.confirmed_at IS NULL""")


def begin(connection: Connection, user_id: UUID, salt: bytes, *, now: datetime) -> bool:
    """Store a second factor to be confirmed. Return False if there is a confirmed one."""
    parameters = {"user_id": user_id, "salt": salt, "now": now}
    return connection.execute(_BEGIN, parameters).rowcount > 0


_CONFIRM = text("""
    UPDATE second_factors SET confirmed_at = :now
     WHERE user_id = :user_id AND confirmed_at IS NULL""")


def confirm(connection: Connection, user_id: UUID, *, now: datetime) -> bool:
    """Ask for the second factor from now on. Return False if there is none to confirm."""
    return connection.execute(_CONFIRM, {"user_id": user_id, "now": now}).rowcount > 0


_USE_STEP = text("""
    UPDATE second_factors SET last_step = :step
     WHERE user_id = :user_id AND last_step < :step""")


def use_step(connection: Connection, user_id: UUID, step: int) -> bool:
    """Use the code of a step up, and those before it. Return False if it was used before."""
    return connection.execute(_USE_STEP, {"user_id": user_id, "step": step}).rowcount > 0


_USE_RECOVERY = text("""
    UPDATE second_factors SET recovery_sha256 = array_remove(recovery_sha256, :digest)
     WHERE user_id = :user_id AND :digest = ANY(recovery_sha256)""")


def use_recovery_code(connection: Connection, user_id: UUID, digest: str) -> bool:
    """Use a recovery code up, by its hash. Return False if there is no such code."""
    return connection.execute(_USE_RECOVERY, {"user_id": user_id, "digest": digest}).rowcount > 0


_SET_RECOVERY = text("""
    UPDATE second_factors SET recovery_sha256 = CAST(:digests AS text[])
     WHERE user_id = :user_id""")


def set_recovery_codes(connection: Connection, user_id: UUID, digests: Sequence[str]) -> None:
    """Replace the recovery codes by others. Their hashes are stored."""
    connection.execute(_SET_RECOVERY, {"user_id": user_id, "digests": list(digests)})


def remove(connection: Connection, user_id: UUID) -> bool:
    """Let the password alone suffice from now on. Return False if it did already."""
    was_confirmed = select(second_factors.c.user_id).where(
        second_factors.c.user_id == user_id, second_factors.c.confirmed_at.is_not(None)
    )
    had_one = connection.execute(was_confirmed).first() is not None
    connection.execute(delete(second_factors).where(second_factors.c.user_id == user_id))
    return had_one

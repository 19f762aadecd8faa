"""The statements on ``email_tokens``: proofs that a user reads the mail of an account.

A token serves once, for its purpose, until it expires. Only its hash is stored, by the sender of
the e-mail (see ``outbox.account_emails``).
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common.domain.addresses import email_key


class Purpose(StrEnum):
    """The purpose of a token."""

    PASSWORD_RESET = "password_reset"  # noqa: S105 - the name of a purpose
    EMAIL_VERIFICATION = "email_verification"


_TOKEN_BYTES = 32

#: The least time between two e-mails of the same purpose.
PAUSE = timedelta(minutes=1)
#: E-mails of the same purpose to one address within a day.
MAX_PER_DAY = 10


def new_token() -> str:
    """Return a new token, for an e-mail."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def digest(token: str) -> str:
    """Return the stored part of a token: with 256 random bits, a plain SHA-256 is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


# An address without an account, or whose last e-mail was just now, costs as much and stores none.
_REQUEST = text("""
    INSERT INTO email_tokens (id, user_id, purpose, created_at, expires_at)
    SELECT :id, u.id, :purpose, :now, :expires_at
      FROM users u
     WHERE u.email_key = :email_key AND u.disabled_at IS NULL
       AND (:purpose <> 'email_verification' OR u.verified_at IS NULL)
       AND NOT EXISTS (SELECT FROM email_tokens t
                        WHERE t.user_id = u.id AND t.purpose = :purpose
                          AND t.created_at > :since)
       AND (SELECT count(*) FROM email_tokens t
             WHERE t.user_id = u.id AND t.purpose = :purpose
               AND t.created_at > :day_ago) < :most""")


def request(
    connection: Connection,
    token_id: UUID,
    purpose: Purpose,
    email: str,
    *,
    expires_at: datetime,
    now: datetime,
) -> None:
    """Store a future token for the account of that address, if there is one.

    Upper and lower case are the same. The caller does not learn whether there is an account.
    """
    connection.execute(
        _REQUEST,
        {
            "id": token_id,
            "purpose": purpose,
            "email_key": email_key(email),
            "expires_at": expires_at,
            "since": now - PAUSE,
            "day_ago": now - timedelta(days=1),
            "most": MAX_PER_DAY,
            "now": now,
        },
    )


# The use of one ends the others of its purpose.
_USE = text("""
    WITH found AS (
        SELECT t.user_id, t.purpose
          FROM email_tokens t JOIN users u ON u.id = t.user_id AND u.disabled_at IS NULL
         WHERE t.token_sha256 = :sha256 AND t.purpose = :purpose AND t.used_at IS NULL
           AND t.expires_at > :now
           FOR UPDATE OF t)
    UPDATE email_tokens t SET used_at = :now, token_sha256 = NULL
      FROM found
     WHERE t.user_id = found.user_id AND t.purpose = found.purpose AND t.used_at IS NULL
 RETURNING t.user_id""")


def use(
    connection: Connection, token_sha256: str, purpose: Purpose, *, now: datetime
) -> UUID | None:
    """Use a token and return its user. None if it is unknown, used or expired."""
    rows = connection.execute(_USE, {"sha256": token_sha256, "purpose": purpose, "now": now})
    return rows.scalars().first()


_END = text("""
    UPDATE email_tokens SET used_at = :now, token_sha256 = NULL
     WHERE user_id = :user_id AND used_at IS NULL""")


def end_all(connection: Connection, user_id: UUID, *, now: datetime) -> None:
    """End every token of the user, those in e-mails that are not sent yet included."""
    connection.execute(_END, {"user_id": user_id, "now": now})


_PRUNE = text("DELETE FROM email_tokens WHERE expires_at < :before")


def prune(connection: Connection, *, before: datetime) -> int:
    """Remove tokens that expired before ``before``, and return their number."""
    return connection.execute(_PRUNE, {"before": before}).rowcount

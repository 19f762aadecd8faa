"""The statements on ``registrations``: accounts to be, until the e-mail to their address is read.

So an account belongs to a reader of its mail from the beginning, and the API need not look
whether an address has one. The sender of the e-mail does, and stores no token if it has.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common.domain.addresses import email_key
from chronos_common.storage.accounts.email_tokens import MAX_PER_DAY, PAUSE

# An address whose last e-mail was just now costs as much and stores none.
_REQUEST = text("""
    INSERT INTO registrations (id, email, password_hash, created_at, expires_at)
    SELECT :id, :email, :password_hash, :now, :expires_at
     WHERE NOT EXISTS (SELECT FROM registrations
                        WHERE email_key = :email_key AND created_at > :since)
       AND (SELECT count(*) FROM registrations
             WHERE email_key = :email_key AND created_at > :day_ago) < :most""")


def request(
    connection: Connection,
    registration_id: UUID,
    *,
    email: str,
    password_hash: str,
    expires_at: datetime,
    now: datetime,
) -> None:
    """Store a registration, whether the address has an account or not."""
    connection.execute(
        _REQUEST,
        {
            "id": registration_id,
            "email": email,
            "email_key": email_key(email),
            "password_hash": password_hash,
            "expires_at": expires_at,
            "since": now - PAUSE,
            "day_ago": now - timedelta(days=1),
            "most": MAX_PER_DAY,
            "now": now,
        },
    )


@dataclass(frozen=True, slots=True)
class Registered:
    """The address and the password of an account to be."""

    email: str
    password_hash: str


# The others of the address may be another person's.
_USE = text("""
    WITH found AS (
        SELECT id, email, email_key, password_hash FROM registrations
         WHERE token_sha256 = :sha256 AND expires_at > :now FOR UPDATE),
    used AS (
        DELETE FROM registrations r USING found f WHERE r.email_key = f.email_key RETURNING r.id)
    SELECT f.email, f.password_hash FROM found f JOIN used u ON u.id = f.id""")


def use(connection: Connection, token_sha256: str, *, now: datetime) -> Registered | None:
    """Use the registration of a token, and forget the others of its address.

    None if there is none, or if it was used or has expired.
    """
    row = connection.execute(_USE, {"sha256": token_sha256, "now": now}).first()
    return None if row is None else Registered(row.email, row.password_hash)


_PRUNE = text("DELETE FROM registrations WHERE expires_at < :before")


def prune(connection: Connection, *, before: datetime) -> int:
    """Remove registrations that expired before ``before``, and return their number."""
    return connection.execute(_PRUNE, {"before": before}).rowcount

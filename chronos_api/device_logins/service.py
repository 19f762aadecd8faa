"""Let a program in without typing a password into it, as RFC 8628 has it.

1. :func:`request` gives the program two codes: a secret, and a short one that it shows.
2. A person who has logged in to the dashboard types the short one (:func:`find`). The page shows
   the name and the address of the program. The person answers by :func:`approve` or
   :func:`refuse`.
3. :func:`exchange` makes an API key for the program that polls with the secret. It acts as the
   person, whose login must not have ended since. So no key waits in the database in clear.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, assert_never
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from chronos_api.security.access import Principal, Role, Scope
from chronos_api.transactions import Call, Transaction, begin, reading
from chronos_api.workspaces import keys
from chronos_api.workspaces.keys import NewKey
from chronos_common import ids
from chronos_common.errors import (
    Forbidden,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from chronos_common.storage.accounts import authentication, device_logins, email_tokens
from chronos_common.storage.accounts.device_logins import Decision

LIFETIME: Final = timedelta(minutes=10)
INTERVAL_SECONDS: Final = 5
#: A program that does not wait has to wait this much longer from then on (RFC 8628, section 3.5).
ADDED_SECONDS: Final = 5
LONGEST_INTERVAL_SECONDS: Final = 60

_DEVICE_CODE_BYTES: Final = 32
#: Consonants make no words, and none of them looks like a digit (RFC 8628, section 6.1).
_ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
#: 20^8 codes. Who guesses ten a minute finds one of a hundred open ones in 48 years.
_LETTERS: Final = 8


# A reader gets the first kind. The second one lets lockouts count wrong codes as failed logins.
class CodeUnknown(NotFound, Unauthenticated):
    """There is no such code, or it was used or has expired. Begin again: chronos login."""


class LoginRefused(Forbidden):
    """The login was refused in the dashboard, or the person who approved it has logged out."""


class NoOwner(Forbidden):
    """Only an owner of the workspace lets a program in. Ask one for an API key."""


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of a program: its secret, and the one that it shows to a person."""

    device_code: str
    user_code: str


@dataclass(frozen=True, slots=True)
class Pending:
    """Nobody has answered yet. The program may ask again after so many seconds."""

    interval_seconds: int


def request(call: Call, *, name: str, scopes: Sequence[Scope]) -> Codes:
    """Store the wish of a program, and return its codes."""
    device_code = secrets.token_urlsafe(_DEVICE_CODE_BYTES)
    user_code = "".join(secrets.choice(_ALPHABET) for _ in range(_LETTERS))
    with begin(call) as tx:
        is_stored = device_logins.request(
            tx.connection,
            ids.new_id(tx.now),
            device_sha256=email_tokens.digest(device_code),
            user_code=user_code,
            name=name,
            address=tx.client.address if tx.client else None,
            scopes=sorted(set(scopes)),
            interval_seconds=INTERVAL_SECONDS,
            expires_at=tx.now + LIFETIME,
            now=tx.now,
        )
    if not is_stored:
        raise Unavailable
    return Codes(device_code, shown(user_code))


def shown(user_code: str) -> str:
    """Return a user code as a person reads it, like ``BDWP-HQPK``."""
    return f"{user_code[: _LETTERS // 2]}-{user_code[_LETTERS // 2 :]}"


def find(call: Call, typed: str) -> RowMapping:
    """Return the wish with the code that a person typed. Raises :class:`CodeUnknown`."""
    user_code = "".join(each for each in typed.upper() if each in _ALPHABET)
    with reading(call) as session:
        row = device_logins.find_pending(session.connection, user_code, now=session.now)
    if row is None:
        raise CodeUnknown
    return row


def approve(
    call: Call,
    login_id: UUID,
    *,
    workspace_id: UUID,
    scopes: Sequence[Scope],
    expires_at: datetime | None,
) -> None:
    """Let a program into a workspace that the user owns, with an API key of these rights.

    Raises :class:`NoOwner`, :class:`CodeUnknown`, and the errors of :func:`keys.check_permitted`.
    """
    with begin(call) as tx:
        keys.check_permitted(tx, expires_at=expires_at)
        owner = _owner(tx.connection, tx.account.user_id, tx.account.family_id, workspace_id)
        if owner is None:
            raise NoOwner
        rights = {
            "user_id": owner.user_id,
            "family_id": owner.family_id,
            "workspace_id": workspace_id,
            "scopes": sorted(set(scopes)),
            "key_expires_at": expires_at,
        }
        _decide(tx, login_id, Decision.APPROVED, rights)
        details = {login_id: {"scopes": rights["scopes"]}}
        tx.audit_in(workspace_id, "device_login.approve", "device_login", details)


def refuse(call: Call, login_id: UUID) -> None:
    """Refuse a program. Raises :class:`CodeUnknown`."""
    with begin(call) as tx:
        _decide(tx, login_id, Decision.REFUSED, {})
        tx.audit_account(tx.account.user_id, "user.refuse_device_login")


def exchange(call: Call, device_code: str) -> NewKey | Pending:
    """Make the API key of a program that was approved, once.

    Raises :class:`CodeUnknown`, :class:`LoginRefused`, :class:`TooManyRequests` for a program that
    asks too often, and the errors of :func:`keys.add`.
    """
    row = _poll(call, device_code)
    if row["is_early"]:
        seconds: int = row["interval_seconds"]
        raise TooManyRequests(f"Asked too soon; wait {seconds} seconds.", seconds=seconds)
    match Decision(row["decision"]):
        case Decision.PENDING:
            return Pending(row["interval_seconds"])
        case Decision.REFUSED:
            raise LoginRefused
        case Decision.APPROVED:
            return _make_key(call, row)
        case _ as unknown:
            assert_never(unknown)


def _poll(call: Call, device_code: str) -> RowMapping:
    """Return the wish of a program. It is noted as having asked, also if it is refused."""
    with begin(call) as tx:
        row = device_logins.poll(
            tx.connection,
            email_tokens.digest(device_code),
            added=ADDED_SECONDS,
            longest=LONGEST_INTERVAL_SECONDS,
            now=tx.now,
        )
    if row is None:
        raise CodeUnknown
    return row


def _make_key(call: Call, row: RowMapping) -> NewKey:
    with reading(call) as session:
        approver = _owner(
            session.connection, row["user_id"], row["family_id"], row["workspace_id"]
        )
    if approver is None:
        raise LoginRefused
    with begin(replace(call, caller=approver)) as tx:
        # First, so that of two polls side by side one makes a key.
        if not device_logins.take(tx.connection, row["id"], now=tx.now):
            raise CodeUnknown
        return keys.add(
            tx, name=row["name"], scopes=row["scopes"], expires_at=row["key_expires_at"]
        )


def _owner(
    connection: Connection, user_id: UUID, family_id: UUID | None, workspace_id: UUID
) -> Principal | None:
    """Return the user of a login that has not ended as the owner of the workspace, or None."""
    if family_id is None:
        return None
    found = authentication.by_login(connection, user_id, family_id, workspace_id)
    if found is None or found.role != Role.OWNER:
        return None
    return Principal(user_id, workspace_id, Role.OWNER, family_id)


def _decide(
    tx: Transaction, login_id: UUID, decision: Decision, rights: Mapping[str, Any]
) -> None:
    if not device_logins.decide(tx.connection, login_id, decision, rights=rights, now=tx.now):
        raise CodeUnknown

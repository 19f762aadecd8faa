"""The second factor of an account: asked for at a login, set up, and turned off.

1. :func:`begin_setup` makes a secret, which is shown once. The account is as open as before.
2. :func:`confirm_setup` takes a code of it, and hands out recovery codes once. Other logins end.
3. From then on :func:`check` lets a login pass with a code or a recovery code. Each serves once.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.context import current
from chronos_api.second_factor import totp
from chronos_api.transactions import Call, Transaction, begin, reading
from chronos_common.errors import Conflict, SecondFactorRequired, Unauthenticated
from chronos_common.storage.accounts import second_factors, users

RECOVERY_CODES: Final = 10
#: With 80 random bits a plain SHA-256 is enough.
_RECOVERY_BYTES: Final = 10
_ONE_TIME = re.compile(rf"[0-9]{{{totp.DIGITS}}}")


class WrongCode(Unauthenticated):
    """The code of the second factor is wrong, or was used before. Wait for the next one."""


class NoSecondFactor(Conflict):
    """The account has no second factor."""


class NothingToConfirm(Conflict):
    """There is no second factor to confirm: set one up first."""


class AlreadyOn(Conflict):
    """The account has a second factor. Turn it off first."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The secret of a new second factor, as text and as an address for applications."""

    secret: str
    otpauth_uri: str


def check(tx: Transaction, user_id: UUID, code: str | None) -> dict[str, Any]:
    """Use the code of a locked user up, if they have a second factor.

    Return its details for the audit log. Raises :class:`SecondFactorRequired` without a code,
    and :class:`WrongCode`.
    """
    row = second_factors.find(tx.connection, user_id)
    if row is None or row["confirmed_at"] is None:
        return {}
    if not code:
        raise SecondFactorRequired
    return {"second_factor": _use(tx, row, code)}


def _use(tx: Transaction, row: RowMapping, code: str) -> str:
    plain = re.sub(r"[\s-]", "", code).lower()
    if not _ONE_TIME.fullmatch(plain):
        if not second_factors.use_recovery_code(tx.connection, row["user_id"], _digest(plain)):
            raise WrongCode
        return "recovery code"
    step = totp.matching_step(_secret(row["user_id"], row["salt"]), plain, now=tx.now)
    if step is None or not second_factors.use_step(tx.connection, row["user_id"], step):
        raise WrongCode
    return "code"


def _secret(user_id: UUID, salt: bytes) -> bytes:
    return totp.secret_of(user_id, bytes(salt), secret_key=current().settings.secret_key)


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def read(call: Call) -> dict[str, Any]:
    """Return since when the user has a second factor, and how many recovery codes are left."""
    with reading(call) as session:
        row = second_factors.find(session.connection, call.account.user_id)
    is_on = row is not None and row["confirmed_at"] is not None
    return {
        "enabled": is_on,
        "confirmed_at": row["confirmed_at"] if row and is_on else None,
        "recovery_codes_left": row["recovery_codes_left"] if row and is_on else 0,
    }


def begin_setup(call: Call) -> Setup:
    """Make a secret that is to be confirmed. The caller has confirmed the password.

    It takes the place of one that was not confirmed. Raises :class:`AlreadyOn`.
    """
    account, salt = call.account, secrets.token_bytes(totp.SALT_BYTES)
    with begin(call) as tx:
        tx.confirm_caller()
        if not second_factors.begin(tx.connection, account.user_id, salt, now=tx.now):
            raise AlreadyOn
    secret = base64.b32encode(_secret(account.user_id, salt)).decode()
    return Setup(secret, totp.address_of(secret, account.email))


def confirm_setup(call: Call, code: str) -> Sequence[str]:
    """Ask for the second factor from now on, end the other logins, and return recovery codes.

    Raises :class:`NothingToConfirm` and :class:`WrongCode`.
    """
    account = call.account
    with begin(call) as tx:
        tx.confirm_caller()
        row = second_factors.find(tx.connection, account.user_id)
        if row is None or not second_factors.confirm(tx.connection, account.user_id, now=tx.now):
            raise NothingToConfirm
        _use(tx, row, code)
        users.revoke_all_families(
            tx.connection, account.user_id, but=account.family_id, now=tx.now
        )
        tx.audit_account(account.user_id, "user.enable_second_factor")
        return _new_recovery_codes(tx, account.user_id)


def renew_recovery_codes(call: Call, code: str) -> Sequence[str]:
    """Replace the recovery codes. The caller has confirmed the password. See :func:`check`."""
    user_id = call.account.user_id
    with begin(call) as tx:
        _check_confirmed(tx, user_id, code)
        tx.audit_account(user_id, "user.renew_recovery_codes")
        return _new_recovery_codes(tx, user_id)


def turn_off(call: Call, code: str) -> None:
    """Let the password alone suffice. The caller has confirmed the password. See :func:`check`."""
    user_id = call.account.user_id
    with begin(call) as tx:
        used = _check_confirmed(tx, user_id, code)
        second_factors.remove(tx.connection, user_id)
        tx.audit_account(user_id, "user.disable_second_factor", used)


def _check_confirmed(tx: Transaction, user_id: UUID, code: str) -> dict[str, Any]:
    tx.confirm_caller()
    used = check(tx, user_id, code)
    if not used:
        raise NoSecondFactor
    return used


def _new_recovery_codes(tx: Transaction, user_id: UUID) -> list[str]:
    random = (secrets.token_bytes(_RECOVERY_BYTES) for _ in range(RECOVERY_CODES))
    plain = [base64.b32encode(each).decode().lower() for each in random]
    second_factors.set_recovery_codes(tx.connection, user_id, [_digest(each) for each in plain])
    return ["-".join(re.findall("....", each)) for each in plain]

"""The operator's actions on accounts, and the list of processes."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping
from sqlalchemy.exc import IntegrityError

from chronos_api.accounts import service
from chronos_api.fields.pagination import Page, read_page
from chronos_api.security import password_hashing, password_strength
from chronos_api.transactions import Call, Transaction, begin, reading
from chronos_common.broker import Broker
from chronos_common.errors import Conflict, NotFound, Unavailable
from chronos_common.storage import workers
from chronos_common.storage.accounts import invitations, second_factors, users


class AccountNotFound(NotFound):
    """There is no such account."""


class OwnAccount(Conflict):
    """You cannot disable your own account: nobody could enable it again."""


def create_operator(call: Call, *, email: str, password: str) -> None:
    """Make the account of an operator, whose address needs no e-mail to be verified.

    Raises :class:`~chronos_api.accounts.service.EmailTaken`.
    """
    password_strength.check(password, email)
    password_hash = password_hashing.hash_of(password)
    try:
        with begin(call) as tx:
            user_id = service.create_account(tx, email, password_hash)
            users.set_operator(tx.connection, user_id)
            users.set_verified(tx.connection, user_id, now=tx.now)
            tx.audit_in(None, "account.create", "user", {user_id: {"email": email}})
    except IntegrityError as error:
        raise service.EmailTaken from error


def list_accounts(
    call: Call, *, search: str | None, after: UUID | None, page: int, limit: int
) -> Page[UUID]:
    """Return a page of the accounts, the oldest first."""
    with reading(call) as session:
        query = partial(users.page, session.connection, search=search, after=after)
        return read_page(query, page=page, limit=limit)


def disable(call: Call, user_id: UUID) -> RowMapping:
    """End the logins and invitations of an account, and refuse it and its keys until enabled."""
    if user_id == call.account.user_id:
        raise OwnAccount
    with begin(call) as tx:
        row = _lock(tx, user_id)
        if row["disabled_at"] is None:
            users.set_disabled(tx.connection, user_id, tx.now)
            users.revoke_all_families(tx.connection, user_id, now=tx.now)
            invitations.revoke_of_inviter(tx.connection, user_id, now=tx.now)
            _audit(tx, "account.disable", row)
        return _lock(tx, user_id)


def enable(call: Call, user_id: UUID) -> RowMapping:
    """Let an account log in again. Its API keys work again too."""
    with begin(call) as tx:
        row = _lock(tx, user_id)
        if row["disabled_at"] is not None:
            users.set_disabled(tx.connection, user_id, None)
            _audit(tx, "account.enable", row)
        return _lock(tx, user_id)


def reset_second_factor(call: Call, user_id: UUID) -> bool:
    """Let an account log in with the password alone, whose owner has lost every code.

    Return whether it had a second factor.
    """
    with begin(call) as tx:
        row = _lock(tx, user_id)
        had_one = second_factors.remove(tx.connection, user_id)
        if had_one:
            _audit(tx, "account.reset_second_factor", row)
    return had_one


def find_account(call: Call, email: str) -> UUID:
    """Return the id of the account with that address. Raises :class:`AccountNotFound`."""
    with reading(call) as session:
        row = users.find_by_email(session.connection, email)
    if row is None:
        raise AccountNotFound
    found: UUID = row["id"]
    return found


def _lock(tx: Transaction, user_id: UUID) -> RowMapping:
    row = users.find(tx.connection, user_id, lock=True)
    if row is None:
        raise AccountNotFound
    return row


def _audit(tx: Transaction, action: str, row: Mapping[Any, Any]) -> None:
    """Append to the log of the installation."""
    tx.audit_in(None, action, "user", {row["id"]: {"email": row["email"]}})


def list_processes(call: Call, *, alive_within: timedelta) -> Sequence[RowMapping]:
    """Return the workers and schedulers of the installation."""
    with reading(call) as session:
        return workers.processes(session.connection, alive_since=call.now - alive_within)


def queues(broker: Broker) -> Sequence[tuple[str, int]]:
    """Return the number of messages in each queue, and nothing while Redis is away."""
    try:
        return sorted(broker.depths().items())
    except Unavailable:
        return []

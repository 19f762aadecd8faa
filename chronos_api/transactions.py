"""Transactions that know who acts and when, so that no change can forget to be recorded.

A route makes a :class:`Call`. A service opens it with :func:`begin` for a change, or else with
:func:`reading`. Only a :class:`Transaction` writes to the audit log, and the consequences of
executions that moved, so that a service has one call for everything that follows a change.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from flask import request
from sqlalchemy import Connection, Engine

from chronos_api.context import current
from chronos_api.security import access
from chronos_api.security.access import Account, Principal
from chronos_common import clock
from chronos_common.domain.executions import Moved
from chronos_common.errors import Unauthenticated
from chronos_common.quotas import CHANGE_BYTES, ENTRY_BYTES, JOB_BYTES, Quota
from chronos_common.storage import audit, consequences, quotas
from chronos_common.storage.accounts import authentication, users
from chronos_common.storage.postgres import database

#: Actions that stop, revoke or delete something. No quota refuses them, although they are counted.
#: What can be done again and again, like a rotation, has a low rate limit.
#: The start of a bulk change is one, because its jobs are refused one by one.
NEVER_REFUSED: Final = frozenset(
    {
        "bulk.cancel",
        "bulk.start",
        "execution.cancel",
        "invitation.revoke",
        "job.delete",
        "job.pause",
        "key.revoke",
        "replay.cancel",
        "replay.pause",
        "workspace.delete",
        "workspace.rotate_secret",
    }
)


class CallerEnded(Unauthenticated):
    """Your login or your API key has ended meanwhile. Log in again."""


#: The longest name of a program that is kept, in characters.
_MAX_USER_AGENT = 300


@dataclass(frozen=True, slots=True)
class ClientProgram:
    """The program that sent a request, by its own name and its address."""

    user_agent: str | None
    address: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identified:
    """Who acts, when and from where.

    ``caller`` is None if nobody has logged in, and ``client`` if there is no request.
    """

    caller: Principal | Account | None
    now: datetime
    client: ClientProgram | None = None

    @property
    def principal(self) -> Principal:
        """Return the member who acts. Only for routes that require a role."""
        return cast(Principal, self.caller)

    @property
    def account(self) -> Account:
        """Return the user who acts. Only for routes that require a login."""
        return cast(Account, self.caller)

    @property
    def workspace_id(self) -> UUID:
        """Return the workspace of the member. Only for routes that require a role."""
        return self.principal.workspace_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(_Identified):
    """A call of a service: on which database, by whom, and when."""

    engine: Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Session(_Identified):
    """A connection for statements that change nothing."""

    connection: Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction(Session):
    """A transaction, with everything that has to follow a change."""

    needed: Counter[Quota] = field(default_factory=Counter)
    unrefusable: set[Quota] = field(default_factory=lambda: {CHANGE_BYTES})

    def audit(
        self, action: str, subject_type: str, details: Mapping[UUID, Mapping[str, Any]]
    ) -> None:
        """Append an action on some subjects to the audit log of the member's workspace.

        ``action`` is like "job.pause". ``details`` is by the subject's id, and without secrets.
        """
        self.audit_in(self.workspace_id, action, subject_type, details)
        self.needed[CHANGE_BYTES] += sum(map(_bytes_of, details.values()))
        if action not in NEVER_REFUSED:
            self.unrefusable.discard(CHANGE_BYTES)

    def audit_in(
        self,
        workspace_id: UUID | None,
        action: str,
        subject_type: str,
        details: Mapping[UUID, Mapping[str, Any]],
        *,
        user_id: UUID | None = None,
    ) -> None:
        """Append to the log of another workspace, or of the installation (None).

        ``user_id`` names the acting user, if that is not the caller.
        """
        audit.append(
            self.connection,
            workspace_id=workspace_id,
            user_id=user_id or (self.caller.user_id if self.caller else None),
            key_id=self.caller.key_id if self.caller else None,
            action=action,
            subject_type=subject_type,
            details=details,
            now=self.now,
        )

    def audit_account(
        self, user_id: UUID, action: str, details: Mapping[str, Any] | None = None
    ) -> None:
        """Append a user's change of their own account to the log of their first workspace."""
        workspace_id = users.first_workspace_of(self.connection, user_id)
        self.audit_in(workspace_id, action, "user", {user_id: details or {}}, user_id=user_id)

    def audit_failed_login(self, email: str, details: Mapping[str, Any]) -> None:
        """Append a failed login with that address, unless there are many."""
        audit.append_failed_login(self.connection, email, details, now=self.now)

    def spend(self, amounts: Mapping[Quota, int]) -> None:
        """Add to the use of the member's workspace when the transaction ends.

        The end of the transaction raises :class:`QuotaExceeded` then.
        """
        self.needed.update(amounts)
        self.needed[CHANGE_BYTES] += max(0, amounts.get(JOB_BYTES, 0))

    def give_back(self, amounts: Mapping[Quota, int]) -> None:
        """Lower the use of the member's workspace by ``amounts``, when the transaction ends."""
        self.spend({quota: -amount for quota, amount in amounts.items()})

    def settle(self) -> None:
        """Spend the needs of all changes at once, as the last statement of the transaction.

        The rows that it locks are those of the workspace. Other requests wait for them.
        """
        if self.needed:
            quotas.spend(
                self.connection,
                self.workspace_id,
                self.needed,
                settings=current().settings,
                now=self.now,
                unrefusable=self.unrefusable,
            )

    def confirm_caller(self) -> None:
        """Raise :class:`CallerEnded` if the caller's login or key has ended meanwhile.

        For changes that outlive them. Ending every login of a user locks the user first, so it
        either sees the change or is seen here.
        """
        caller = cast(Principal | Account, self.caller)
        users.find(self.connection, caller.user_id, lock=True)
        if not authentication.stands(
            self.connection, caller.user_id, family_id=caller.family_id, key_id=caller.key_id
        ):
            raise CallerEnded

    def moved(self, executions: Sequence[Moved]) -> None:
        """Write the consequences of executions that were moved."""
        consequences.write(self.connection, executions, now=self.now)


def _bytes_of(details: Mapping[str, Any]) -> int:
    return ENTRY_BYTES + len(json.dumps(details))


def call() -> Call:
    """Return the call of a member. Only for routes that require a role."""
    return _call(access.principal())


def account_call() -> Call:
    """Return the call of a user, with or without a workspace. Only for routes with a login."""
    return _call(access.account())


def public_call() -> Call:
    """Return a call that needs no login."""
    return _call(None)


def _call(caller: Principal | Account | None) -> Call:
    return Call(engine=current().engine, caller=caller, now=clock.now(), client=_client())


def _client() -> ClientProgram:
    name = request.headers.get("User-Agent", "")[:_MAX_USER_AGENT]
    readable = "".join(character for character in name if character.isprintable())
    return ClientProgram(readable or None, request.remote_addr)


@contextmanager
def begin(call: Call) -> Iterator[Transaction]:
    """Open a transaction: committed at the end of the block, rolled back if it raises."""
    with database.transaction(call.engine) as connection:
        tx = Transaction(
            connection=connection, caller=call.caller, now=call.now, client=call.client
        )
        yield tx
        tx.settle()


@contextmanager
def reading(call: Call) -> Iterator[Session]:
    """Open a connection for statements that only read, without a transaction."""
    with database.reading(call.engine) as connection:
        yield Session(connection=connection, caller=call.caller, now=call.now)

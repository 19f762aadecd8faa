"""The logins of a user: where they are logged in, and how to end one of them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.transactions import Call, begin, reading
from chronos_common.errors import NotFound
from chronos_common.storage.accounts import users


class SessionNotFound(NotFound):
    """You have no such login, or it has ended."""


def list_sessions(call: Call) -> Sequence[RowMapping]:
    """Return the caller's logins that have not ended, the latest used first."""
    with reading(call) as session:
        return users.sessions_of(session.connection, session.account.user_id, now=call.now)


def end(call: Call, family_id: UUID) -> None:
    """End a login of the caller. Raises :class:`SessionNotFound`."""
    user_id = call.account.user_id
    with begin(call) as tx:
        users.find(tx.connection, user_id, lock=True)
        if not users.revoke_family_of(tx.connection, user_id, family_id, now=tx.now):
            raise SessionNotFound
        tx.audit_account(user_id, "user.session_end")

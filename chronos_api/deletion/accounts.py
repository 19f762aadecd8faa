"""Delete an account: one's own, or another as the operator."""

from uuid import UUID

from chronos_api.accounts import passwords
from chronos_api.accounts.admin import AccountNotFound, OwnAccount
from chronos_api.deletion import workspaces
from chronos_api.transactions import Call, Transaction, begin
from chronos_api.workspaces import members
from chronos_common.errors import Conflict
from chronos_common.storage.accounts import deletions, users
from chronos_common.storage.accounts import workspaces as rows


class OnlyOwner(Conflict):
    """The account is the only owner of a workspace with other members."""


class LastOperator(Conflict):
    """The account is the only operator of this installation."""


def delete_own(call: Call, *, current_password: str) -> None:
    """Delete the account of the user who acts.

    Raises :class:`~chronos_api.accounts.passwords.WrongPassword`, and the errors of
    :func:`delete`.
    """
    passwords.confirm(call, current_password)
    with begin(call) as tx:
        tx.confirm_caller()
        left = _delete(tx, call.account.user_id)
    _stop_all(call, left)


def delete(call: Call, user_id: UUID) -> None:
    """Delete an account as the operator. Raises :class:`OnlyOwner` and others that say why not."""
    if user_id == call.account.user_id:
        raise OwnAccount
    with begin(call) as tx:
        left = _delete(tx, user_id)
    _stop_all(call, left)


def _stop_all(call: Call, workspace_ids: list[UUID]) -> None:
    for workspace_id in workspace_ids:
        workspaces.stop(call, workspace_id)


def _delete(tx: Transaction, user_id: UUID) -> list[UUID]:
    """Remove a user, and return the workspaces that are deleted with them.

    1. The user is locked, and then their workspaces, so that their members stay the same.
    2. The user leaves the workspaces of others. Those without anybody else are purged as soon as
       their executions have ended.
    3. Logins, keys, tokens and invitations go with the user.
    """
    user = users.find(tx.connection, user_id, lock=True)
    if user is None:
        raise AccountNotFound
    if users.is_last_operator(tx.connection, user_id):
        raise LastOperator(
            f"{LastOperator.__doc__} It would have nobody who administers its accounts."
        )
    memberships = rows.of_user(tx.connection, user_id)
    for membership in memberships:
        rows.find(tx.connection, membership["id"], lock=True)
    _check_owned(tx, user_id)
    left = []
    for membership in memberships:
        workspace_id = membership["id"]
        if rows.count_members(tx.connection, workspace_id) == 1:
            deletions.mark(tx.connection, workspace_id, purge_at=tx.now)
            left.append(workspace_id)
        else:
            member = rows.find_member(tx.connection, workspace_id, user_id)
            if member is not None:
                members.end(tx, workspace_id, member)
    details = {user_id: {"email": user["email"], "workspaces": len(left)}}
    tx.audit_in(None, "account.delete", "user", details)
    users.delete(tx.connection, user_id)
    return left


def _check_owned(tx: Transaction, user_id: UUID) -> None:
    owned = rows.owned_with_others(tx.connection, user_id)
    if owned:
        names = ", ".join(repr(row["name"]) for row in owned)
        raise OnlyOwner(
            f"The account is the only owner of workspaces with other members: {names}. Make "
            "another member an owner of each, or delete them first."
        )

"""Recovery: a user who recovers an account by e-mail has it alone from then on."""

from typing import Any
from uuid import UUID

from chronos_api.security.access import Role
from chronos_api.transactions import Transaction
from chronos_api.workspaces import members
from chronos_api.workspaces.service import new_signing_secret
from chronos_common.storage.accounts import api_keys, email_tokens, invitations, users, workspaces


def recover(tx: Transaction, user_id: UUID) -> None:
    """End everything with which an earlier holder of the account could still act.

    1. Logins, API keys, invitations and tokens in e-mails end, in every workspace.
    2. If the address was never verified, its owner never had the account, and another person may
       have registered it. Then its workspaces lose their other members, keys and invitations,
       and their webhooks get another signing secret. Jobs stay.
    3. The address is verified now. A second factor stays, or else the mail alone would open an
       account that has one.
    """
    user = users.find(tx.connection, user_id, lock=True)
    details = revoke_credentials(tx, user_id)
    if user is not None and user["verified_at"] is None:
        details["removed_members"] = _take_over_workspaces(tx, user_id)
    users.set_verified(tx.connection, user_id, now=tx.now)
    tx.audit_account(user_id, "user.reset_password", details)


def revoke_credentials(tx: Transaction, user_id: UUID) -> dict[str, Any]:
    """End the logins, keys, invitations and e-mail tokens of a user, and return their numbers."""
    email_tokens.end_all(tx.connection, user_id, now=tx.now)
    return {
        "logins": users.revoke_all_families(tx.connection, user_id, now=tx.now),
        "revoked_keys": api_keys.revoke_of_user(tx.connection, user_id, now=tx.now),
        "revoked_invitations": invitations.revoke_of_inviter(tx.connection, user_id, now=tx.now),
    }


def _take_over_workspaces(tx: Transaction, user_id: UUID) -> int:
    """Leave the user alone in their workspaces, and return how many members were removed.

    Nobody else made these: joining a workspace of others verifies the address.
    """
    removed = 0
    for membership in workspaces.of_user(tx.connection, user_id):
        workspace_id = membership["id"]
        # Locked, so that nobody joins meanwhile.
        workspaces.find(tx.connection, workspace_id, lock=True)
        for member in workspaces.members(tx.connection, workspace_id):
            if member["user_id"] != user_id:
                members.end(tx, workspace_id, member)
                removed += 1
        _own(tx, workspace_id, user_id)
    return removed


def _own(tx: Transaction, workspace_id: UUID, user_id: UUID) -> None:
    workspaces.set_role(tx.connection, workspace_id, user_id, Role.OWNER)
    invitations.revoke_all(tx.connection, workspace_id, now=tx.now)
    workspaces.rotate_secret(
        tx.connection, workspace_id, secret=new_signing_secret(), until=tx.now
    )

"""Workspaces: create, list, read, change, and replace the secret that signs webhooks."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.audit import service as audit
from chronos_api.security.access import Role
from chronos_api.transactions import Call, Transaction, begin, reading
from chronos_common import ids
from chronos_common.domain import redaction
from chronos_common.domain.payloads import WEBHOOK
from chronos_common.errors import Conflict, Invalid
from chronos_common.storage.accounts import users, workspaces

MAX_WORKSPACES = 100

_SIGNING_SECRET_BYTES = 32


class TooManyWorkspaces(Conflict):
    """You are a member of as many workspaces as one account can be. Leave one first."""


def create(tx: Transaction, workspace_id: UUID, owner: UUID, *, name: str) -> None:
    """Store a workspace with its first owner."""
    users.insert_workspace(
        tx.connection, workspace_id, name=name, signing_secret=new_signing_secret(), now=tx.now
    )
    users.insert_membership(
        tx.connection, workspace_id=workspace_id, user_id=owner, role=Role.OWNER, now=tx.now
    )


def new_signing_secret() -> str:
    """Return a secret in the form of Standard Webhooks."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SIGNING_SECRET_BYTES)).decode()}"


def add(call: Call, *, name: str) -> RowMapping:
    """Create another workspace that the user owns, and return their membership."""
    user_id, workspace_id = call.account.user_id, ids.new_id(call.now)
    with begin(call) as tx:
        # Locked, so that requests side by side do not pass the bound together.
        users.find(tx.connection, user_id, lock=True)
        if len(workspaces.of_user(tx.connection, user_id)) >= MAX_WORKSPACES:
            raise TooManyWorkspaces
        create(tx, workspace_id, user_id, name=name)
        tx.audit_in(workspace_id, "workspace.create", "workspace", {workspace_id: {"name": name}})
        memberships = workspaces.of_user(tx.connection, user_id)
        return next(row for row in memberships if row["id"] == workspace_id)


def list_memberships(call: Call) -> Sequence[RowMapping]:
    """Return the user's workspaces, each with their role, the default one first."""
    with reading(call) as session:
        return workspaces.of_user(session.connection, call.account.user_id)


def read(call: Call) -> RowMapping:
    """Return the workspace of the request."""
    with reading(call) as session:
        return workspaces.find(session.connection, session.workspace_id)


def change(call: Call, values: Mapping[str, Any]) -> RowMapping:
    """Change the name or the default webhook's URL, and return the workspace.

    Raises :class:`Invalid` if the URL is none.
    """
    with begin(call) as tx:
        before = workspaces.find(tx.connection, tx.workspace_id, lock=True)
        checked = _checked(before, values)
        if checked:
            workspaces.change(tx.connection, tx.workspace_id, checked)
        after = workspaces.find(tx.connection, tx.workspace_id)
        details = audit.difference(_shown(before), _shown(after))
        if details["after"]:
            _audit(tx, "workspace.update", details)
        return after


def _checked(before: Mapping[Any, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values to store. A URL that was sent back as it is shown stays as it is."""
    url = values.get("default_webhook_url")
    if url is None:
        return dict(values)
    if url == _shown(before)["default_webhook_url"]:
        return dict(values) | {"default_webhook_url": before["default_webhook_url"]}
    if redaction.REDACTED in url:
        raise Invalid({"default_webhook_url": ["Holds [redacted]; give the URL with its secret."]})
    try:
        WEBHOOK.parse({"url": url})
    except Invalid as error:
        raise Invalid({"default_webhook_url": error.fields["payload.url"]}) from error
    return dict(values)


def _shown(row: Mapping[Any, Any]) -> dict[str, Any]:
    url = row["default_webhook_url"]
    return {
        "name": row["name"],
        "default_webhook_url": None if url is None else redaction.url(url),
    }


def rotate_secret(call: Call, *, grace: timedelta) -> RowMapping:
    """Sign webhooks with a new secret, and for ``grace`` with the previous one too."""
    with begin(call) as tx:
        workspaces.rotate_secret(
            tx.connection, tx.workspace_id, secret=new_signing_secret(), until=tx.now + grace
        )
        _audit(tx, "workspace.rotate_secret", {"grace_hours": grace / timedelta(hours=1)})
        return workspaces.find(tx.connection, tx.workspace_id)


def _audit(tx: Transaction, action: str, details: Mapping[str, Any]) -> None:
    tx.audit(action, "workspace", {tx.workspace_id: details})

"""Workspaces: make one, list one's own, read and change settings, sign webhooks anew."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping

from chronos_api.audit import diff
from chronos_api.audit import service as trail
from chronos_api.security.access import Account, Principal, Role
from chronos_common import ids
from chronos_common.domain import redaction
from chronos_common.domain.payloads import WEBHOOK
from chronos_common.errors import Conflict, Invalid
from chronos_common.storage.accounts import users, workspaces
from chronos_common.storage.postgres.database import transaction

MAX_WORKSPACES = 100

_SIGNING_SECRET_BYTES = 32


class TooManyWorkspaces(Conflict):
    """You are a member of as many workspaces as one account can be; leave one first."""


def create(
    connection: Connection, workspace_id: UUID, owner: UUID, *, name: str, now: datetime
) -> None:
    """Store a workspace with its first owner."""
    users.insert_workspace(
        connection, workspace_id, name=name, signing_secret=new_signing_secret(), now=now
    )
    users.insert_membership(
        connection, workspace_id=workspace_id, user_id=owner, role=Role.OWNER, now=now
    )


def new_signing_secret() -> str:
    """Return a secret in the form of Standard Webhooks."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SIGNING_SECRET_BYTES)).decode()}"


def add(engine: Engine, who: Account, *, name: str, now: datetime) -> RowMapping:
    """Make another workspace for whoever calls, its owner; return their membership."""
    workspace_id = ids.new_id(now)
    with transaction(engine) as connection:
        # Locked, so that requests side by side do not pass the bound together.
        users.find(connection, who.user_id, lock=True)
        if len(workspaces.of_user(connection, who.user_id)) >= MAX_WORKSPACES:
            raise TooManyWorkspaces
        create(connection, workspace_id, who.user_id, name=name, now=now)
        _note(connection, who, "workspace.create", workspace_id, {"name": name}, now=now)
        found = workspaces.of_user(connection, who.user_id)
        return next(row for row in found if row["id"] == workspace_id)


def list_memberships(engine: Engine, who: Account) -> Sequence[RowMapping]:
    """Return the workspaces of whoever calls, each with their role, the default one first."""
    with transaction(engine) as connection:
        return workspaces.of_user(connection, who.user_id)


def read(engine: Engine, who: Principal) -> RowMapping:
    """Return the workspace of the request."""
    with transaction(engine) as connection:
        return workspaces.find(connection, who.workspace_id)


def change(
    engine: Engine, who: Principal, values: Mapping[str, Any], *, now: datetime
) -> RowMapping:
    """Change the name or the default webhook's URL; return the workspace.

    Raises :class:`Invalid` for what is no URL.
    """
    with transaction(engine) as connection:
        before = workspaces.find(connection, who.workspace_id, lock=True)
        checked = _checked(before, values)
        if checked:
            workspaces.change(connection, who.workspace_id, checked)
        after = workspaces.find(connection, who.workspace_id)
        details = diff.between(_shown(before), _shown(after))
        if details["after"]:
            _note(connection, who, "workspace.update", who.workspace_id, details, now=now)
        return after


def _checked(before: Mapping[Any, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values to store: a URL that came back as it is shown stays as it is."""
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


def rotate_secret(
    engine: Engine, who: Principal, *, grace: timedelta, now: datetime
) -> RowMapping:
    """Sign webhooks with a new secret, and for ``grace`` with the one before too."""
    with transaction(engine) as connection:
        workspaces.rotate_secret(
            connection, who.workspace_id, secret=new_signing_secret(), until=now + grace
        )
        details = {"grace_hours": grace / timedelta(hours=1)}
        _note(connection, who, "workspace.rotate_secret", who.workspace_id, details, now=now)
        return workspaces.find(connection, who.workspace_id)


def _note(
    connection: Connection,
    who: Principal | Account,
    action: str,
    workspace_id: UUID,
    details: Mapping[str, Any],
    *,
    now: datetime,
) -> None:
    trail.note(
        connection,
        who,
        action,
        ("workspace", workspace_id),
        details,
        workspace_id=workspace_id,
        now=now,
    )

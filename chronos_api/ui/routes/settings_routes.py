"""The page of a workspace's settings: its name, members, invitations, API keys and secret."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.fields.pagination import MAX_LIMIT
from chronos_api.http import json_body
from chronos_api.http.errors import problem_of
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.transactions import call
from chronos_api.ui.blueprint import blueprint, show, to
from chronos_api.workspaces import invitations, keys, members, service
from chronos_api.workspaces.key_schemas import KeyFields
from chronos_api.workspaces.schemas import (
    InvitationFields,
    MemberChange,
    Rotation,
    WorkspaceAnswer,
    WorkspaceChange,
)
from chronos_common.errors import ChronosError


@blueprint.get("/settings")
@requires(Role.VIEWER, None)
def settings() -> AnyResponse:
    """Show the settings of the workspace."""
    return _page()


def _page(error: ChronosError | None = None, *, new_key: str | None = None) -> AnyResponse:
    is_owner = principal().role is Role.OWNER
    row = service.read(call())
    problem = problem_of(error) if error else None
    response = show(
        "settings.html",
        workspace=WorkspaceAnswer.of({**row, "role": principal().role}),
        people=members.list_members(call()),
        is_owner=is_owner,
        invited=_first(invitations.list_open) if is_owner else [],
        keys=_first(keys.list_keys) if is_owner else [],
        secret=row["signing_secret"] if is_owner else None,
        new_key=new_key,
        roles=list(Role),
        scopes=list(Scope),
        problem=problem,
        given=request.form,
    )
    if problem:
        response.status_code = int(problem.kind.status)
    return response


def _first(list_them: Callable[..., Any]) -> list[Any]:
    return list(list_them(call(), after=None, page=1, limit=MAX_LIMIT).rows)


def _done(work: Callable[[], Any]) -> AnyResponse:
    """Do the work of a form, and show the settings: as they are then, or with its error."""
    try:
        work()
    except ChronosError as error:
        return _page(error)
    return to("settings")


@blueprint.post("/settings")
@requires(Role.OWNER, None)
def change_settings() -> AnyResponse:
    """Rename the workspace, or set its default address for webhooks."""
    url = request.form.get("default_webhook_url", "").strip()
    given = {"name": request.form.get("name", ""), "default_webhook_url": url or None}
    return _done(lambda: service.change(call(), json_body.load(WorkspaceChange, given)))


@blueprint.post("/settings/invitations")
@requires(Role.OWNER, None)
def invite() -> AnyResponse:
    """Invite somebody by e-mail."""
    given = {name: request.form.get(name, "") for name in ("email", "role")}
    return _done(lambda: invitations.invite(call(), **json_body.load(InvitationFields, given)))


@blueprint.post("/settings/invitations/<uuid:invitation_id>/revoke")
@requires(Role.OWNER, None)
def revoke_invitation(invitation_id: UUID) -> AnyResponse:
    """Take an invitation back."""
    return _done(lambda: invitations.revoke(call(), invitation_id))


@blueprint.post("/settings/members/<uuid:user_id>")
@requires(Role.OWNER, None)
def change_member(user_id: UUID) -> AnyResponse:
    """Give a member another role."""
    given = {"role": request.form.get("role", "")}
    return _done(
        lambda: members.set_role(call(), user_id, json_body.load(MemberChange, given)["role"])
    )


@blueprint.post("/settings/members/<uuid:user_id>/remove")
@requires(Role.OWNER, None)
def remove_member(user_id: UUID) -> AnyResponse:
    """Remove a member."""
    return _done(lambda: members.remove(call(), user_id))


@blueprint.post("/settings/keys")
@requires(Role.OWNER, None)
def make_key() -> AnyResponse:
    """Make an API key, and show it this once."""
    given = {
        "name": request.form.get("name", ""),
        "scopes": request.form.getlist("scopes"),
        "expires_at": request.form.get("expires_at", "").strip() or None,
    }
    try:
        made = keys.create(call(), **{"expires_at": None} | json_body.load(KeyFields, given))
    except ChronosError as error:
        return _page(error)
    return _page(new_key=made.text)


@blueprint.post("/settings/keys/<uuid:key_id>/revoke")
@requires(Role.OWNER, None)
def revoke_key(key_id: UUID) -> AnyResponse:
    """Revoke an API key."""
    return _done(lambda: keys.revoke(call(), key_id))


@blueprint.post("/settings/signing-secret")
@requires(Role.OWNER, None)
def rotate_secret() -> AnyResponse:
    """Sign webhooks with a new secret, and for a day with the one before as well."""
    grace = timedelta(hours=json_body.load(Rotation, {})["grace_hours"])
    return _done(lambda: service.rotate_secret(call(), grace=grace))

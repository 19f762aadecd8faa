"""Finds the caller and the workspace of a request. Rights are checked by ``access``."""

from typing import cast
from uuid import UUID

from flask import g, request
from sqlalchemy import Connection

from chronos_api.context import current
from chronos_api.security import credentials
from chronos_api.security.browser_sessions import BrowserSession
from chronos_api.security.credentials import KeyText, LoginText, Presented
from chronos_api.security.tokens import Ticket
from chronos_common import clock
from chronos_common.errors import NotFound
from chronos_common.storage.accounts import authentication
from chronos_common.storage.accounts.authentication import Identity
from chronos_common.storage.postgres.database import reading

WORKSPACE_HEADER = "X-Workspace"


class WorkspaceNotFound(NotFound):
    """There is no such workspace, or you are not one of its members. See X-Workspace."""


def identify(*, or_parameter: bool, or_ticket: bool) -> tuple[Identity, UUID | None]:
    """Return the caller of the current request, and the workspace that it names, if any.

    See :func:`credentials.presented` for the parameters. Raises
    :class:`~chronos_common.errors.Unauthenticated` and :class:`WorkspaceNotFound`.
    """
    presented = credentials.presented(or_parameter=or_parameter, or_ticket=or_ticket)
    wanted = _wanted_workspace(presented, or_parameter=or_ticket)
    with reading(current().engine) as connection:
        match presented:
            case KeyText(prefix=prefix, sha256=sha256):
                found = authentication.by_key(connection, prefix, sha256, wanted, now=clock.now())
            case LoginText(user_id=user_id, family_id=family_id):
                found = authentication.by_login(connection, user_id, family_id, wanted)
            case BrowserSession(user_id=user_id, family_id=family_id):
                g.browser_session = presented
                found = authentication.by_login(connection, user_id, family_id, wanted)
            case Ticket():
                found = _maker(connection, presented, wanted)
    if found is None:
        raise presented.refusal
    return found, wanted


def _maker(connection: Connection, ticket: Ticket, wanted: UUID | None) -> Identity | None:
    if ticket.key_id:
        return authentication.by_key_id(connection, ticket.key_id, wanted, now=clock.now())
    return authentication.by_login(
        connection, ticket.user_id, cast(UUID, ticket.family_id), wanted
    )


def _wanted_workspace(presented: Presented, *, or_parameter: bool) -> UUID | None:
    own = presented.workspace_id if isinstance(presented, Ticket) else None
    # A page has the workspace in its path: a link cannot send a header. Nor can an
    # EventSource, so the routes that take a ticket take the workspace in the query.
    given = request.headers.get(WORKSPACE_HEADER) or g.get("workspace_in_path")
    if given is None and or_parameter:
        given = request.args.get("workspace")
    if given is None:
        return own
    try:
        wanted = UUID(given)
    except ValueError as error:
        raise WorkspaceNotFound from error
    if own not in {None, wanted}:
        raise WorkspaceNotFound
    return wanted

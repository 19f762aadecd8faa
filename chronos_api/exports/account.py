"""The export of an account: the user, their workspaces, logins, keys and changes."""

from uuid import UUID

from marshmallow import fields

from chronos_api.accounts.schemas import AccountAnswer
from chronos_api.audit.schemas import AuditEntry
from chronos_api.exports.pages import PAGE_SIZE, Pages, Row, walk
from chronos_api.fields.base import Answer
from chronos_api.fields.fields import Instant
from chronos_api.transactions import Call, reading
from chronos_api.workspaces.key_schemas import KeyAnswer
from chronos_api.workspaces.schemas import Membership
from chronos_common.storage import audit
from chronos_common.storage.accounts import api_keys, preferences, users, workspaces


class LoginRecord(Answer):
    """A login of the account."""

    id = fields.UUID()
    started_at = Instant()
    expires_at = Instant()
    ended_at = Instant(allow_none=True)
    user_agent = fields.String(allow_none=True)
    address = fields.String(allow_none=True)


def pages(call: Call) -> Pages:
    """Yield everything about the user who acts, without password and tokens."""
    user_id = call.account.user_id
    with reading(call) as session:
        user = users.find(session.connection, user_id)
        memberships = workspaces.of_user(session.connection, user_id)
        logins = users.logins_of(session.connection, user_id)
        chosen = preferences.find(session.connection, user_id)
        keys = api_keys.of_user(session.connection, user_id)
    if user is None:
        return
    yield "account", [AccountAnswer.of(user)]
    yield "membership", [Membership.of(each) for each in memberships]
    yield "login", [LoginRecord.of(each) for each in logins]
    if chosen:
        yield "preferences", [chosen]
    yield "api_key", [KeyAnswer.of(each) for each in keys]
    yield from walk("audit_entry", AuditEntry, lambda after: _changes(call, after))


def _changes(call: Call, after: UUID | None) -> list[Row]:
    with reading(call) as session:
        return list(
            audit.of_user(session.connection, call.account.user_id, after=after, limit=PAGE_SIZE)
        )

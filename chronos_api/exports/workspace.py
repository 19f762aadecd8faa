"""The export of a workspace: its settings, people, keys, jobs, executions and audit log."""

from uuid import UUID

from sqlalchemy import Connection

from chronos_api.audit.schemas import AuditEntry
from chronos_api.executions.schemas import ExecutionAnswer
from chronos_api.exports.pages import PAGE_SIZE, Pages, Row, walk
from chronos_api.jobs import snapshots
from chronos_api.jobs.schemas import JobAnswer
from chronos_api.transactions import Call, Session, reading
from chronos_api.workspaces.key_schemas import KeyAnswer
from chronos_api.workspaces.schemas import InvitationAnswer, Member, WorkspaceAnswer
from chronos_common import clock
from chronos_common.storage import audit
from chronos_common.storage.accounts import api_keys, invitations, workspaces
from chronos_common.storage.audit import AuditFilter
from chronos_common.storage.executions import history
from chronos_common.storage.executions.filters import HistoryFilter
from chronos_common.storage.jobs import jobs


def pages(call: Call) -> Pages:
    """Yield everything of the workspace of the request, without its secrets."""
    with reading(call) as session:
        own = workspaces.find(session.connection, session.workspace_id)
        members = workspaces.members(session.connection, session.workspace_id)
    yield "workspace", [WorkspaceAnswer.of({**own, "role": call.principal.role})]
    yield "member", [Member.of(each) for each in members]
    yield from walk("invitation", InvitationAnswer, lambda after: _invitations(call, after))
    yield from walk("api_key", KeyAnswer, lambda after: _keys(call, after))
    yield from walk("job", JobAnswer, lambda after: _jobs(call, after))
    yield from walk("execution", ExecutionAnswer, lambda after: _executions(call, after))
    yield from walk("audit_entry", AuditEntry, lambda after: _audit_entries(call, after))


def _invitations(call: Call, after: UUID | None) -> list[Row]:
    with reading(call) as session:
        rows, _ = invitations.page(
            *_whole(session), after=after, offset=0, limit=PAGE_SIZE, now=session.now
        )
    return list(rows)


def _keys(call: Call, after: UUID | None) -> list[Row]:
    with reading(call) as session:
        rows, _ = api_keys.page(*_whole(session), after=after, offset=0, limit=PAGE_SIZE)
    return list(rows)


def _jobs(call: Call, after: UUID | None) -> list[Row]:
    with reading(call) as session:
        rows = jobs.following(*_whole(session), after=after, limit=PAGE_SIZE)
    return [snapshots.snapshot(row, now=clock.now()) for row in rows]


def _executions(call: Call, after: UUID | None) -> list[Row]:
    with reading(call) as session:
        found = history.page(*_whole(session), HistoryFilter(before=after), limit=PAGE_SIZE)
    return list(found.rows)


def _audit_entries(call: Call, after: UUID | None) -> list[Row]:
    with reading(call) as session:
        rows, _ = audit.page(
            *_whole(session), AuditFilter(before=after), offset=0, limit=PAGE_SIZE
        )
    return list(rows)


def _whole(session: Session) -> tuple[Connection, UUID]:
    return session.connection, session.workspace_id

"""Apply a file of jobs as code: all of it in one transaction, or none of it.

1. Lock the scope, so that applies of one file come one after the other. Then lock the names of
   its new jobs, and the live jobs that may be meant.
2. Check every job of the file, and compare it with the live one. A dry run ends here.
3. Refuse the plan if it differs from the one that the caller has seen, if a job is refused, or if
   it deletes too many.
4. Delete, change, adopt and create, as for single jobs: with an entry in the audit log for each.
   Their needs of the quotas are spent at the end, in one sum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.jobs import changes, lifecycle, snapshots
from chronos_api.jobs.service import add_all, find
from chronos_api.scopes import guards, targets
from chronos_api.scopes.plan import Item, JobVerdict, OnDrift, Plan, Step, judge, missing, unclear
from chronos_api.scopes.targets import Unclear, Wanted
from chronos_api.transactions import Call, Session, Transaction, begin, reading
from chronos_common.domain.jobs import Ownership
from chronos_common.domain.statuses import JobStatus
from chronos_common.storage import audit
from chronos_common.storage.jobs import jobs, scopes
from chronos_common.storage.jobs.insert import NewJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A file, and how it shall be applied.

    ``from_scope`` is another scope whose jobs may be adopted. ``plan`` is the hash of the plan
    that the caller has seen. ``prune_max`` is how many jobs may be deleted.
    """

    scope: str
    wanted: Sequence[Wanted]
    prune: bool = False
    prune_max: int | None = None
    on_drift: OnDrift = OnDrift.REFUSE
    from_scope: str | None = None
    plan: str | None = None


def dry_run(call: Call, application: Application) -> Plan:
    """Return the plan of an apply. Raises :class:`InvalidItems` with every wrong field."""
    with reading(call) as session:
        return _plan(session, application, lock=False)


def apply(call: Call, application: Application) -> Plan:
    """Make the live jobs of the scope as the file has them, and return the plan.

    Raises :class:`InvalidItems` with every wrong field, :class:`guards.PlanDiffers`,
    :class:`guards.ApplyRefused` and :class:`guards.TooManyDeleted`.
    """
    with begin(call) as tx:
        scopes.lock(tx.connection, tx.workspace_id, application.scope)
        plan = _plan(tx, application, lock=True)
        guards.check(plan, seen=application.plan, prune_max=application.prune_max)
        _carry_out(tx, plan)
    return plan


def _plan(session: Session, application: Application, *, lock: bool) -> Plan:
    scope = application.scope
    place = session.connection, session.workspace_id, scope
    owned = {row["scope_key"]: row for row in scopes.owned(*place, lock=lock)}
    new = [each for each in application.wanted if each.key not in owned]
    if lock:
        scopes.lock_names(session.connection, session.workspace_id, {each.name for each in new})
    beside = scopes.adoptable(
        *place,
        names={each.name for each in new},
        job_ids={each.job_id for each in new if each.job_id},
        lock=lock,
    )
    meant = targets.Meant(owned, beside, scope=scope, from_scope=application.from_scope)
    found = targets.read(session, application.wanted, meant)
    items = [
        unclear(each.key, each.fields, each.reason)
        if isinstance(each, Unclear)
        else judge(each, scope=scope, on_drift=application.on_drift)
        for each in found
    ]
    keys = {each.key for each in application.wanted}
    items += [
        missing(row, prune=application.prune) for key, row in owned.items() if key not in keys
    ]
    guards.check_size(items)
    return Plan(scope=scope, items=_with_authors(session, items), dry_run=not lock)


def _with_authors(session: Session, items: Sequence[Item]) -> list[Item]:
    """Return the items. A job that was changed elsewhere has the user and the instant of it."""
    drifted = [
        each.row["id"]
        for each in items
        if each.row and each.verdict in {JobVerdict.DRIFT, JobVerdict.CONFLICT}
    ]
    latest = audit.latest_changes(session.connection, session.workspace_id, "job", drifted)
    return [
        replace(each, changed_by=entry.user_email, changed_at=entry.at)
        if each.id is not None and (entry := latest.get(each.id))
        else each
        for each in items
    ]


def _carry_out(tx: Transaction, plan: Plan) -> None:
    deleted, changed = plan.doing(Step.DELETE), plan.doing(Step.UPDATE, Step.ADOPT)
    rows = _locked(tx, [*deleted, *changed])
    if deleted:
        lifecycle.delete(tx, [rows[each.row["id"]] for each in deleted if each.row])
    adopted = {
        each.row["id"]: _ownership(plan.scope, each)
        for each in changed
        if each.row and each.action is Step.ADOPT
    }
    scopes.adopt(tx.connection, adopted, now=tx.now)
    for each in changed:
        _change(tx, each, rows)
    kept = {
        each.row["id"]: _ownership(plan.scope, each)
        for each in plan.items
        if each.row and (each.verdict is JobVerdict.UNCHANGED or each.action is Step.UPDATE)
    }
    scopes.remember(tx.connection, kept)
    _create(tx, plan)


def _locked(tx: Transaction, items: Sequence[Item]) -> Mapping[UUID, RowMapping]:
    """Keep schedulers from planning the jobs of these items, and return the jobs as they are."""
    ids = [each.row["id"] for each in items if each.row]
    rows = jobs.lock(tx.connection, tx.workspace_id, ids) if ids else []
    return {row["id"]: row for row in lifecycle.lock_schedules(tx, rows)} if rows else {}


def _ownership(scope: str, item: Item) -> Ownership:
    assert item.target is not None
    return Ownership(scope=scope, key=item.key, applied=item.target.form.stored())


def _change(tx: Transaction, item: Item, rows: Mapping[UUID, RowMapping]) -> None:
    """Change or adopt a locked job."""
    assert item.target is not None
    row, status = rows[item.target.job_id], item.target.status
    if row["status"] == JobStatus.COMPLETED:
        status = None
    is_defined = any(each.field != "status" for each in item.differences)
    definition = item.target.definition if is_defined else None
    changes.carry_out(tx, row, definition, {"status": status})
    if item.action is Step.ADOPT and not is_defined:
        adopted = find(tx, row["id"])
        tx.audit("job.update", "job", {row["id"]: snapshots.differences(row, adopted)})


def _create(tx: Transaction, plan: Plan) -> None:
    items = plan.doing(Step.CREATE)
    if items:
        add_all(tx, [_new(plan.scope, each, tx) for each in items], scope=plan.scope)


def _new(scope: str, item: Item, tx: Transaction) -> NewJob:
    assert item.target is not None
    target = item.target
    return NewJob(
        target.job_id,
        target.definition,
        target.definition.schedule.first_at_or_after(tx.now),
        JobStatus.PAUSED if target.status == JobStatus.PAUSED else JobStatus.ACTIVE,
        _ownership(scope, item),
    )

"""The plan of an apply, job by job: it follows from the difference of three definitions.

The file, the job as last applied, and the live job are compared:

| the file | the live job | verdict |
|---|---|---|
| has a new key | there is none | create |
| has a new key | a job without a scope has its name, or the id that it gives | adopt |
| is like the live job | any | unchanged |
| was changed | is as applied | update |
| any | was changed elsewhere, and not in the same fields as the file | drift |
| was changed | was changed elsewhere in the same fields | conflict |
| any | several may be meant, or it is of another scope | conflict |
| has no such key | any | prune |
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.scopes.normal_forms import Difference, NormalForm, bounded
from chronos_common.domain.jobs import JobDefinition


class JobVerdict(StrEnum):
    """The result of the comparison of a job."""

    CREATE = "create"
    UPDATE = "update"
    ADOPT = "adopt"
    DRIFT = "drift"
    CONFLICT = "conflict"
    PRUNE = "prune"
    UNCHANGED = "unchanged"


class Step(StrEnum):
    """The change that the apply makes of a job, or would make."""

    CREATE = "create"
    UPDATE = "update"
    ADOPT = "adopt"
    DELETE = "delete"
    KEEP = "keep"
    REFUSE = "refuse"


class OnDrift(StrEnum):
    """The treatment of a job that was changed elsewhere since the last apply."""

    REFUSE = "refuse"
    OVERWRITE = "overwrite"
    KEEP = "keep"


_STEP_ON_DRIFT = {
    OnDrift.REFUSE: Step.REFUSE,
    OnDrift.OVERWRITE: Step.UPDATE,
    OnDrift.KEEP: Step.KEEP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A job of the file, checked. ``row`` is the live job that it means, if there is one."""

    key: str
    job_id: UUID
    row: RowMapping | None
    definition: JobDefinition
    status: str | None
    form: NormalForm


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A job of the plan. ``row`` is the live job. ``reason`` says why it is refused."""

    key: str
    name: str
    verdict: JobVerdict
    action: Step
    target: Target | None = None
    row: RowMapping | None = None
    differences: Sequence[Difference] = ()
    reason: str | None = None
    changed_by: str | None = None
    changed_at: datetime | None = None

    @property
    def id(self) -> UUID | None:
        """Return the id of the live job, or None if there is none yet."""
        return self.row["id"] if self.row else None

    def _mark(self) -> list[object]:
        """Return the values that two equal plans have in common."""
        form = self.target.form.digest() if self.target else None
        live = NormalForm.of_row(self.row).digest() if self.row else None
        is_kept = self.verdict is JobVerdict.UNCHANGED
        return [self.key, str(self.id), self.verdict, self.action, form, None if is_kept else live]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The jobs of a file with their verdicts, in its order, and then those that it lacks."""

    scope: str
    items: Sequence[Item]
    dry_run: bool

    @property
    def hash(self) -> str:
        """Return a text that another plan does not have."""
        marks = [self.scope, [each._mark() for each in self.items]]  # noqa: SLF001 - of this module
        return sha256(json.dumps(marks).encode()).hexdigest()

    @property
    def counts(self) -> Mapping[str, int]:
        """Return the number of jobs by verdict."""
        counted = Counter(each.verdict for each in self.items)
        return {str(verdict): counted[verdict] for verdict in JobVerdict}

    def doing(self, *actions: Step) -> list[Item]:
        """Return the items with one of these actions."""
        return [each for each in self.items if each.action in actions]


def judge(target: Target, *, scope: str, on_drift: OnDrift) -> Item:
    """Return the verdict on a job of the file."""
    row = target.row
    if row is None:
        return _item(target, JobVerdict.CREATE, Step.CREATE, ())
    live = NormalForm.of_row(row)
    differences = live.until(target.form)
    if row["scope"] != scope:
        return _item(target, JobVerdict.ADOPT, Step.ADOPT, differences)
    if not differences:
        return _item(target, JobVerdict.UNCHANGED, Step.KEEP, ())
    applied = NormalForm.of_applied(row["applied"])
    elsewhere = {each.field for each in applied.until(live)}
    in_file = {each.field for each in applied.until(target.form)}
    if not elsewhere:
        return _item(target, JobVerdict.UPDATE, Step.UPDATE, differences)
    verdict = JobVerdict.CONFLICT if elsewhere & in_file else JobVerdict.DRIFT
    return _item(target, verdict, _STEP_ON_DRIFT[on_drift], differences)


def _item(
    target: Target, verdict: JobVerdict, action: Step, differences: Sequence[Difference]
) -> Item:
    return Item(
        key=target.key,
        name=target.definition.name,
        verdict=verdict,
        action=action,
        target=target,
        row=target.row,
        differences=bounded(differences),
    )


def unclear(key: str, fields: Mapping[str, Any], reason: str) -> Item:
    """Return the verdict on a job of the file that may mean several live jobs."""
    return Item(
        key=key,
        name=str(fields.get("name", key)),
        verdict=JobVerdict.CONFLICT,
        action=Step.REFUSE,
        reason=reason,
    )


def missing(row: RowMapping, *, prune: bool) -> Item:
    """Return the verdict on a job of the scope that the file lacks."""
    return Item(
        key=row["scope_key"],
        name=row["name"],
        verdict=JobVerdict.PRUNE,
        action=Step.DELETE if prune else Step.KEEP,
        row=row,
    )

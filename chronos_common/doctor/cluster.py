"""Schedulers, workers, queues and executions: whether due executions run, and on time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from chronos_common import __version__
from chronos_common.broker import Broker
from chronos_common.doctor.findings import Finding, fine, problem, span, warning
from chronos_common.storage import health
from chronos_common.storage.executions import partitions
from chronos_common.storage.jobs import schedules
from chronos_common.storage.postgres.database import transaction

#: Messages, schedules and executions that wait for longer than this are late.
LATE = timedelta(seconds=5)

#: No healthy cluster leaves anything waiting for longer.
VERY_LATE = timedelta(minutes=2)

#: The length of "lately".
LATELY = timedelta(hours=1)

#: Recent failures from which on a job is named.
CONSTANTLY = 5

#: Most executions fail if this part of them does.
MOST = 0.5

#: Fewer executions do not show whether most fail.
ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster to examine, at one instant."""

    engine: Engine
    broker: Broker
    worker_timeout: timedelta
    retention: timedelta
    now: datetime

    @property
    def alive_since(self) -> datetime:
        """Processes without a heartbeat since then count as dead."""
        return self.now - self.worker_timeout


def processes(cluster: Cluster) -> Iterator[Finding]:
    """Check which processes are alive, and whether all have the same version."""
    with transaction(cluster.engine) as connection:
        seen = health.processes(connection)
    alive = [each for each in seen if each.heartbeat_at > cluster.alive_since]
    for kind in ("scheduler", "worker"):
        of_kind = [each for each in alive if each.kind == kind]
        if not of_kind:
            yield problem(
                f"{kind}s",
                f"No {kind} is alive: {_NOTHING[kind]}",
                f"Start one with 'chronos {kind}'.",
            )
            continue
        oldest = max(cluster.now - each.heartbeat_at for each in of_kind)
        hosts = ", ".join(sorted({each.hostname for each in of_kind}))
        in_flight = sum(each.in_flight for each in of_kind)
        says = f"{len(of_kind)} alive on {hosts}; heartbeats at most {span(oldest)} old"
        yield fine(f"{kind}s", f"{says}." if kind == "scheduler" else f"{says}; {in_flight} busy.")
    dead = len(seen) - len(alive)
    if dead:
        yield warning(
            "dead processes",
            f"{dead} gave no sign for {span(cluster.worker_timeout)} and did not say good-bye.",
            "Look into their logs: they were killed, frozen, or cut off from PostgreSQL.",
        )
    versions = sorted({each.version for each in alive} | {__version__})
    if len(versions) > 1:
        yield warning(
            "versions",
            f"Several versions run beside each other: {', '.join(versions)}.",
            "Finish the upgrade: restart the older ones.",
        )


_NOTHING = {
    "scheduler": "nothing that is due is planned.",
    "worker": "what is planned waits.",
}


def queues(cluster: Cluster) -> Iterator[Finding]:
    """Check how many messages wait in Redis, and for how long."""
    depths, oldest = cluster.broker.depths(), cluster.broker.oldest()
    for queue, depth in sorted(depths.items()):
        age = cluster.now - oldest[queue] if queue in oldest else timedelta(0)
        if depth and queue not in oldest:
            yield warning(
                f"queue {queue}",
                f"{depth:,} messages wait, and the first one was not written by a scheduler.",
                "Find out who writes into this Redis; workers refuse what is not theirs.",
            )
        elif age <= LATE:
            yield fine(f"queue {queue}", f"{depth:,} messages wait.")
        else:
            yield problem(
                f"queue {queue}",
                f"{depth:,} messages wait, the first for {span(age)}: workers are too few, or do "
                "not take any. Nothing more is published to it meanwhile; it waits in PostgreSQL.",
                "Start more workers, or look into the logs of those that run.",
            )


def lateness(cluster: Cluster) -> Iterator[Finding]:
    """Check whether schedules are planned, and executions claimed, in time."""
    with transaction(cluster.engine) as connection:
        late, oldest = schedules.overdue(connection, before=cluster.now - LATE)
        waiting = health.unfinished(
            connection, overdue_before=cluster.now - LATE, alive_since=cluster.alive_since
        )
    if late and oldest:
        age = cluster.now - oldest
        report = problem if age > VERY_LATE else warning
        yield report(
            "planning",
            f"{late:,} schedules are due and not planned, the first for {span(age)}.",
            "Start schedulers, or look into their logs for 'loop failed'; after an outage this "
            "passes by itself.",
        )
    else:
        yield fine("planning", "Every schedule that is due is planned.")
    yield from _executions(cluster, waiting)


def _executions(cluster: Cluster, waiting: health.ExecutionCounts) -> Iterator[Finding]:
    if waiting.overdue and waiting.oldest_due_at:
        age = cluster.now - waiting.oldest_due_at
        report = problem if age > VERY_LATE else warning
        yield report(
            "starting",
            f"{waiting.overdue:,} executions are due and no worker has them, the first for "
            f"{span(age)}.",
            "Start more workers. Jobs with overlap policy queue_one wait by themselves.",
        )
    else:
        yield fine("starting", f"What is due has started; {waiting.running:,} are running.")
    if waiting.lost:
        yield warning(
            "rescue",
            f"{waiting.lost:,} executions run at workers that give no sign.",
            "A scheduler gives them to others within seconds; if this stays, look into its logs "
            "for 'loop failed'.",
        )
    if waiting.repeated:
        yield warning(
            "rescue",
            f"{waiting.repeated:,} unfinished executions were taken from a worker that was lost.",
            "Look why workers die: memory, or a supervisor that kills them.",
        )
    if waiting.retrying:
        yield fine("retries", f"{waiting.retrying:,} executions wait for their next attempt.")


def storage(cluster: Cluster) -> Iterator[Finding]:
    """Check the partitions of the history: those to come, and those past their retention."""
    today = cluster.now.date()
    midnight = datetime(today.year, today.month, today.day, tzinfo=UTC)
    with transaction(cluster.engine) as connection:
        days = partitions.existing(connection)
        strays = health.strays(connection, since=midnight)
    missing = [day for day in (today, today + timedelta(days=1)) if day not in days]
    if missing:
        yield warning(
            "partitions",
            f"There is no partition for {missing[0]}: history goes into the default one, which "
            "can only be removed row by row.",
            "A scheduler makes them a week ahead, but not for a day that has rows already; look "
            "into its logs for 'loop failed' and 'prune'.",
        )
    elif strays:
        yield warning(
            "partitions",
            f"{strays:,} executions of today or later lie in the default partition.",
            "They were there before a scheduler made their day's, and are removed row by row.",
        )
    else:
        ahead = (max(days) - today).days
        yield fine("partitions", f"They are made for the next {ahead} days.")
    keep_from = (cluster.now - cluster.retention).date() - timedelta(days=2)
    old = [day for day in days if day < keep_from]
    if old:
        yield warning(
            "retention",
            f"History since {old[0]} is kept, longer than {span(cluster.retention)}.",
            "A day with an unfinished execution stays: cancel it (status queued, running, "
            "retrying).",
        )


def mail(cluster: Cluster) -> Iterator[Finding]:
    """Check whether the e-mails about failures and accounts are sent."""
    with transaction(cluster.engine) as connection:
        mails = health.mail(
            connection, overdue_before=cluster.now - VERY_LATE, lately=cluster.now - LATELY
        )
    if mails.stuck or mails.abandoned or mails.partly:
        yield warning(
            "notifications",
            f"{mails.stuck:,} e-mails about failures or accounts wait for another attempt; within "
            f"{span(LATELY)} {mails.abandoned:,} were given up, and {mails.partly:,} were sent, "
            f"but refused for some of their recipients. One says: {mails.error or '-'}",
            "Correct CHRONOS_SMTP_URL and CHRONOS_MAIL_FROM, or the addresses of the jobs.",
        )
    else:
        yield fine("notifications", "No e-mail about a failure or an account is stuck.")


def outcomes(cluster: Cluster) -> Iterator[Finding]:
    """Check how many executions fail, and which jobs keep failing."""
    since = cluster.now - LATELY
    with transaction(cluster.engine) as connection:
        counts = health.count_by_outcome(connection, since=since)
        failing = health.failing_jobs(connection, since=since, at_least=CONSTANTLY)
    total, failed = sum(counts.values()), counts.get("failed", 0)
    says = f"{total:,} executions ended within {span(LATELY)}, {failed:,} of them failed."
    if total >= ENOUGH and failed > MOST * total:
        yield warning("outcomes", says, "Look at a few: GET /api/v1/executions?status=failed")
    else:
        yield fine("outcomes", says)
    for job_id, name, failures in failing:
        yield warning(
            "failing job",
            f"'{name}' failed for good {failures:,} times within {span(LATELY)}.",
            f"See GET /api/v1/jobs/{job_id}/executions?status=failed; correct or pause it.",
        )

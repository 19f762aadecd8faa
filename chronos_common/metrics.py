"""The Prometheus metrics of the scheduler and of the worker. ``process.health`` shows them.

Figures of the whole cluster, such as queue depths and unfinished executions, are read by the API
when it is scraped (``chronos_api.operations.metrics``). ``docs/metrics.md`` lists all metrics.

A series that begins with its first event hides that event from ``increase()``. So every known
value of a label has its series from the start.
"""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram, Info

from chronos_common.domain import queues
from chronos_common.domain.statuses import Reason, Status
from chronos_common.domain.timezones import files

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


def _counter(name: str, text: str, label: str, known: Iterable[str]) -> Counter:
    """Return a counter with a series for each known value of its label."""
    made = Counter(name, text, [label])
    for value in known:
        made.labels(value)
    return made


def _histogram(name: str, text: str, label: str, known: Iterable[str]) -> Histogram:
    """Return a histogram of seconds, likewise."""
    made = Histogram(name, text, [label], buckets=_SECONDS)
    for value in known:
        made.labels(value)
    return made


def _gauge(name: str, text: str, label: str, known: Iterable[str]) -> Gauge:
    """Return a gauge, likewise."""
    made = Gauge(name, text, [label])
    for value in known:
        made.labels(value)
    return made


TIMEZONE_DATABASE = Info(
    "chronos_timezone_database", "The release of the time zone database that this process follows"
)
TIMEZONE_DATABASE.info({"version": files.VERSION})

PLANNED = Counter("chronos_planned_total", "Occurrences turned into executions")
NOT_RUN = _counter(
    "chronos_settled_total", "Occurrences that ended without running", "reason", Reason
)
REPLAYED = Counter("chronos_replayed_total", "Executions that replays have made")
DISPATCHED = _counter(
    "chronos_dispatched_total", "Executions handed to workers", "queue", queues.DURABLE
)
PLAN_SECONDS = Histogram(
    "chronos_plan_seconds", "Time to plan one batch of schedules", buckets=_SECONDS
)
PLAN_LATENESS = Gauge(
    "chronos_plan_lateness_seconds", "How late the last planned batch's first occurrence was"
)
PUBLISH_FAILURES = Counter("chronos_publish_failures_total", "Batches that Redis did not take")
CONGESTED = _gauge(
    "chronos_congested", "1 while a queue is too full to publish more", "queue", queues.DURABLE
)
RESCUED = _counter(
    "chronos_rescued_total",
    "Executions put back by rescue",
    "cause",
    ["worker_lost", "message_lost"],
)
SWEEP_FINDS = _counter(
    "chronos_sweep_finds_total",
    "Things the safety sweep found that should be impossible",
    "find",
    [
        "schedule_overdue",
        "schedule_silent",
        "notification_overdue",
        "execution_stuck",
        "execution_unclaimed",
    ],
)
NOTIFICATIONS = _counter(
    "chronos_notifications_total",
    "E-mails about failures and accounts",
    "result",
    ["sent", "failed", "abandoned"],
)
MAIL_RECIPIENTS = _counter(
    "chronos_mail_recipients_total",
    "Recipients of e-mails, by what the mail server said: accepted, deferred (for now), refused",
    "result",
    ["accepted", "deferred", "refused"],
)

CLAIMED = _counter(
    "chronos_claimed_total", "Executions claimed by this worker", "queue", queues.DURABLE
)
UNCLAIMED = _counter(
    "chronos_unclaimed_total",
    "Executions that were cancelled or taken before the claim",
    "queue",
    queues.DURABLE,
)
EXECUTIONS = _counter(
    "chronos_executions_total",
    "Attempts recorded, by what follows",
    "status",
    [Status.QUEUED, Status.RETRYING, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED],
)
NOT_ATTEMPTED = _counter(
    "chronos_not_attempted_total",
    "Executions given back because the worker lacked something of its own",
    "queue",
    queues.DURABLE,
)
SUPERSEDED = Counter(
    "chronos_superseded_total", "Outcomes not written: the execution had moved on meanwhile"
)
DRIFT_SECONDS = _histogram(
    "chronos_drift_seconds",
    "From the scheduled instant until the phase was over, first attempts of schedules",
    "phase",
    ["start"],
)
DURATION_SECONDS = _histogram(
    "chronos_duration_seconds", "Duration of attempts", "queue", queues.DURABLE
)
RECORD_SECONDS = Histogram(
    "chronos_record_seconds", "Time to record one batch of outcomes", buckets=_SECONDS
)
EVENTS_DROPPED = Counter(
    "chronos_events_dropped_total", "Live events that Redis did not take, or that were too many"
)
RECORDER_BACKLOG = Gauge("chronos_recorder_backlog", "Outcomes waiting to be recorded")
IN_FLIGHT = Gauge("chronos_in_flight", "Transfers under way or waiting to start")

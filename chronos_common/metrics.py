"""The Prometheus metrics of the scheduler and of the worker; ``probe`` shows them.

What is the same seen from every process (queue depths, unfinished executions) the API reads at
scrape time from the database and from Redis; see ``chronos_api.metrics``.
"""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

PLANNED = Counter("chronos_planned_total", "Occurrences turned into executions")
SETTLED = Counter("chronos_settled_total", "Occurrences whose fate was not to run", ["reason"])
DISPATCHED = Counter("chronos_dispatched_total", "Executions handed to workers", ["queue"])
PLAN_SECONDS = Histogram(
    "chronos_plan_seconds", "Time to plan one batch of schedules", buckets=_SECONDS
)
PLAN_LATENESS = Gauge(
    "chronos_plan_lateness_seconds", "How late the last planned batch's first occurrence was"
)
PUBLISH_FAILURES = Counter("chronos_publish_failures_total", "Batches that Redis did not take")
CONGESTED = Gauge("chronos_congested", "1 while a queue is too full to publish more", ["queue"])
RESCUED = Counter("chronos_rescued_total", "Executions put back by rescue", ["cause"])
SWEEP_FINDS = Counter(
    "chronos_sweep_finds_total",
    "Things the safety sweep found that should be impossible",
    ["find"],
)
NOTIFICATIONS = Counter("chronos_notifications_total", "Failure e-mails", ["result"])
MAIL_RECIPIENTS = Counter(
    "chronos_mail_recipients_total",
    "Recipients of e-mails, by what the mail server said: accepted, deferred (for now), refused",
    ["result"],
)
for _result in ("accepted", "deferred", "refused"):
    # A series that appears with its first event hides that event from increase().
    MAIL_RECIPIENTS.labels(_result)

CLAIMED = Counter("chronos_claimed_total", "Executions claimed by this worker", ["queue"])
UNCLAIMED = Counter(
    "chronos_unclaimed_total",
    "Executions that were cancelled or taken before the claim",
    ["queue"],
)
EXECUTIONS = Counter("chronos_executions_total", "Attempts recorded, by what follows", ["status"])
SUPERSEDED = Counter(
    "chronos_superseded_total", "Outcomes not written: the execution had moved on meanwhile"
)
DRIFT_SECONDS = Histogram(
    "chronos_drift_seconds",
    "From the scheduled instant until the phase was over, first attempts of schedules",
    ["phase"],
    buckets=_SECONDS,
)
DURATION_SECONDS = Histogram(
    "chronos_duration_seconds", "Duration of attempts", ["queue"], buckets=_SECONDS
)
RECORD_SECONDS = Histogram(
    "chronos_record_seconds", "Time to record one batch of outcomes", buckets=_SECONDS
)
EVENTS_DROPPED = Counter(
    "chronos_events_dropped_total", "Live events that Redis did not take, or that were too many"
)
RECORDER_BACKLOG = Gauge("chronos_recorder_backlog", "Outcomes waiting to be recorded")
IN_FLIGHT = Gauge("chronos_in_flight", "Transfers under way or waiting to start")

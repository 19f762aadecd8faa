"""Which queue each kind of work waits in: separate queues, so that none waits behind another."""

from chronos_common.domain.statuses import JobType

WEBHOOKS = "webhooks"
EMAILS = "emails"
TASKS = "tasks"
NOTIFICATIONS = "notifications"

#: What somebody tries out, and waits for; PostgreSQL does not hold it for later.
TESTS = "tests"

#: The queues whose work is safe in PostgreSQL.
ALL = (WEBHOOKS, EMAILS, NOTIFICATIONS, TASKS)

EVERY = (*ALL, TESTS)

QUEUE_OF = {
    JobType.WEBHOOK: WEBHOOKS,
    JobType.EMAIL: EMAILS,
    JobType.CELERY_TASK: TASKS,
}

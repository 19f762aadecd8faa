"""Which queue each kind of work waits in: separate queues, so that none waits behind another."""

from chronos_common.domain.statuses import JobType

WEBHOOKS = "webhooks"
EMAILS = "emails"
TASKS = "tasks"
NOTIFICATIONS = "notifications"

ALL = (WEBHOOKS, EMAILS, NOTIFICATIONS, TASKS)

QUEUE_OF = {
    JobType.WEBHOOK: WEBHOOKS,
    JobType.EMAIL: EMAILS,
    JobType.CELERY_TASK: TASKS,
}

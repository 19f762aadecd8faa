"""Uses the generated Python client as its user would: jobs of each type, run and read back.

python walk.py URL EMAIL PASSWORD TARGET
"""

import sys
import time
from http import HTTPStatus
from typing import Any
from uuid import UUID

from generated_client import AuthenticatedClient, Client
from generated_client.api.auth import get_me, log_in
from generated_client.api.executions import get_execution
from generated_client.api.jobs import (
    create_job,
    execute_job,
    get_job,
    list_job_executions,
    list_jobs,
    update_job,
)
from generated_client.models import (
    CeleryTaskPayload,
    Credentials,
    EmailPayload,
    ExecutionDetail,
    JobChange,
    JobDetail,
    JobFields,
    JobFieldsJobType,
    JobFieldsScheduleKind,
    ListJobsJobType,
    ProblemDocument,
    WebhookPayload,
)

SECONDS = 60
CHANGED = {"description", "version", "updated_at", "next_runs"}


def _log_in(url: str, email: str, password: str) -> AuthenticatedClient:
    credentials = Credentials(email=email, password=password)
    tokens = log_in.sync(client=Client(base_url=url), body=credentials)
    return AuthenticatedClient(
        base_url=url, token=tokens.access_token, raise_on_unexpected_status=True
    )


def _finished(client: AuthenticatedClient, id_: UUID) -> ExecutionDetail:
    for _ in range(SECONDS * 10):
        execution = get_execution.sync(id_, client=client)
        if execution.finished_at is not None:
            return execution
        time.sleep(0.1)
    raise TimeoutError(f"Execution {id_} is not finished after {SECONDS} s")


def _run_one(client: AuthenticatedClient, type_: str, payload: Any, workspace: UUID) -> None:
    body = JobFields(
        name=f"Python {type_}",
        type_=JobFieldsJobType(type_),
        payload=payload,
        schedule_type=JobFieldsScheduleKind.CRON,
        cron_expression="0 9 1 1 *",
        timezone="Europe/Berlin",
        max_attempts=2,
        tags=["python"],
    )
    created = create_job.sync(
        client=client, body=body, x_workspace=str(workspace), idempotency_key=f"py-{type_}"
    )
    assert isinstance(created, JobDetail), created
    type_of_list = ListJobsJobType(type_)
    page = list_jobs.sync(client=client, tag="python", type_=type_of_list, limit=5)
    assert [job.id for job in page.items] == [created.id]

    changed = update_job.sync(created.id, client=client, body=JobChange(description="Changed"))
    assert changed.description == "Changed"
    before, after = created.to_dict(), changed.to_dict()
    assert {n: after[n] for n in after.keys() - CHANGED} == {
        n: before[n] for n in before.keys() - CHANGED
    }

    started = execute_job.sync(created.id, client=client)
    execution = _finished(client, started.id)
    assert execution.status.value == "succeeded", execution
    assert len(execution.attempts) == 1
    history = list_job_executions.sync(created.id, client=client)
    assert [each.id for each in history.items] == [execution.id]


def _see_errors(client: AuthenticatedClient) -> None:
    unknown = get_job.sync_detailed(UUID(int=0), client=client)
    assert unknown.status_code is HTTPStatus.NOT_FOUND
    assert isinstance(unknown.parsed, ProblemDocument)
    wrong = JobFields(
        name=" ",
        payload=WebhookPayload(url="ftp://example.com"),
        schedule_type=JobFieldsScheduleKind.CRON,
        cron_expression="x",
    )
    refused = create_job.sync(client=client, body=wrong)
    assert isinstance(refused, ProblemDocument)
    assert {each.field for each in refused.errors} == {"cron_expression", "name", "payload.url"}


def _main(url: str, email: str, password: str, target: str) -> None:
    client = _log_in(url, email, password)
    workspace = get_me.sync(client=client).workspace.id
    payloads = {
        "webhook": WebhookPayload(url=target, body={"by": "python"}),
        "email": EmailPayload(to=["user@example.com"], subject="python", body="Text"),
        "celery_task": CeleryTaskPayload(task="shop.tasks.report", args=[1, "two"]),
    }
    for type_, payload in payloads.items():
        _run_one(client, type_, payload, workspace)
    _see_errors(client)


if __name__ == "__main__":
    _main(*sys.argv[1:])

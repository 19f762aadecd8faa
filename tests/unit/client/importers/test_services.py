"""Schedulers of clouds, of machines, and of code hosts."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import accepted_jobs
from chronos_client.importers import cronicle, dkron
from chronos_client.importers.kinds import KINDS
from chronos_client.importers.outcome import Outcome, SourceUnreadable
from chronos_client.importers.services import (
    cloud_scheduler,
    cronjob_org,
    eventbridge,
    github_actions,
    qstash,
)

URL = "https://example.com/run"


def checked(outcome: Outcome) -> Outcome:
    accepted_jobs.check(outcome.jobs)
    return outcome


def details(outcome: Outcome) -> set[str]:
    return {each.what for each in outcome.findings if each.is_left_out}


# -- EventBridge Scheduler -----------------------------------------------------------------------

ARN = "arn:aws:lambda:eu-central-1:1:function:report"


def eventbridge_schedule(expression: str, **changes: object) -> Outcome:
    target = {"Arn": ARN, "RoleArn": "arn:aws:iam::1:role/r", "Input": '{"a": 1}',
              "RetryPolicy": {"MaximumRetryAttempts": 0}}  # fmt: skip
    found = {
        "Name": "report", "GroupName": "default", "ScheduleExpression": expression,
        "ScheduleExpressionTimezone": "Europe/Berlin", "State": "ENABLED",
        "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target, **changes,
    }  # fmt: skip
    return checked(eventbridge.read(json.dumps(found), targets={ARN: URL}))


def test_a_schedule_of_eventbridge_with_a_target_that_the_user_named() -> None:
    outcome = eventbridge_schedule("cron(15 10 ? * 6L *)")
    assert outcome.is_exact
    assert outcome.jobs == [
        {
            "name": "report",
            "type": "webhook",
            "payload": {"url": URL, "method": "POST", "body": {"a": 1}},
            "schedule_type": "cron",
            "cron_expression": "15 10 * * FRIL",
            "timezone": "Europe/Berlin",
            "max_attempts": 1,
        }
    ]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("cron(0 9 ? * 2-6 *)", "0 9 * * MON-FRI"),
        ("cron(0 9 ? * MON#1 *)", "0 9 * * MON#1"),
        ("cron(0 9 ? * 3#2 *)", "0 9 * * TUE#2"),
        ("cron(0/15 * L * ? *)", "0/15 * L * *"),
        ("cron(0 9 1W * ? *)", "0 9 1W * *"),
        ("cron(0 9 ? * L *)", "0 9 * * SAT"),
    ],
)
def test_days_of_week_of_aws_begin_with_sunday_as_1(theirs: str, ours: str) -> None:
    assert eventbridge_schedule(theirs).jobs[0]["cron_expression"] == ours


def test_rates_instants_windows_and_retries_of_eventbridge() -> None:
    rate = eventbridge_schedule("rate(5 minutes)", State="DISABLED").jobs[0]
    assert (rate["interval_seconds"], rate["status"]) == (300, "paused")
    once = eventbridge_schedule("at(2027-07-01T09:00:00)").jobs[0]
    assert once["run_at"] == "2027-07-01T07:00:00Z"
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 90}
    flexible = eventbridge_schedule("rate(1 day)", FlexibleTimeWindow=window, Target={"Arn": ARN})
    assert (flexible.jobs[0]["jitter_seconds"], flexible.jobs[0]["max_attempts"]) == (3600, 50)
    assert details(flexible) == {
        "FlexibleTimeWindow", "MaximumRetryAttempts", "MaximumEventAgeInSeconds",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "changes", "why"),
    [
        ("cron(0 9 * * ? 2027)", {}, "year"),
        ("rate(5 minutes)", {"Target": {"Arn": "arn:aws:sqs:x"}}, "--target"),
        ("rate(1 day)", {"Target": {"Arn": ARN, "Input": "<aws.scheduler.execution-id>"}}, "AWS"),
        ("every day", {}, "cron(...)"),
        ("at(2027-07-01T09:00:00)", {"ScheduleExpressionTimezone": "Mars"}, "Mars"),
    ],
)
def test_what_has_no_equal_in_eventbridge_is_left_out(
    expression: str, changes: dict, why: str
) -> None:
    outcome = eventbridge_schedule(expression, **changes)
    assert outcome.jobs == []
    assert why in outcome.findings[0].why


# -- Google Cloud Scheduler ----------------------------------------------------------------------


def cloud_job(**changes: object) -> Outcome:
    found = {
        "name": "projects/p/locations/europe-west3/jobs/nightly", "schedule": "0 3 * * *",
        "timeZone": "Europe/Berlin", "state": "ENABLED", "attemptDeadline": "60s",
        "httpTarget": {
            "uri": URL, "httpMethod": "POST", "body": base64.b64encode(b'{"a": 1}').decode(),
            "headers": {"Content-Type": "application/json", "User-Agent": "Google"},
        },
        "retryConfig": {"maxRetryDuration": "0s", "minBackoffDuration": "5s",
                        "maxBackoffDuration": "3600s", "maxDoublings": 5},
        **changes,
    }  # fmt: skip
    return checked(cloud_scheduler.read(json.dumps([found])))


def test_a_job_of_cloud_scheduler() -> None:
    outcome = cloud_job()
    assert outcome.is_exact
    (made,) = outcome.jobs
    assert made["payload"] == {
        "url": URL,
        "method": "POST",
        "headers": {"Content-Type": "application/json"},
        "follow_redirects": False,
        "body": '{"a": 1}',
    }
    assert (made["name"], made["max_attempts"], made["timeout_seconds"]) == ("nightly", 1, 60)
    retried = cloud_job(retryConfig={"retryCount": 3, "minBackoffDuration": "10s"}).jobs[0]
    assert (retried["max_attempts"], retried["backoff_seconds"]) == (4, 10)
    assert "maxDoublings" in details(cloud_job(retryConfig={"retryCount": 9, "maxDoublings": 1}))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"httpTarget": None, "pubsubTarget": {"topicName": "t"}}, "Pub/Sub"),
        ({"httpTarget": {"uri": URL, "oidcToken": {"audience": URL}}}, "oidcToken"),
        ({"schedule": "every 24 hours"}, "five fields"),
        ({"httpTarget": {"uri": URL, "body": "?"}}, "base64"),
    ],
)
def test_what_has_no_equal_in_cloud_scheduler_is_left_out(changes: dict, why: str) -> None:
    outcome = cloud_job(**changes)
    assert outcome.jobs == []
    assert why in outcome.findings[0].why


# -- GitHub Actions ------------------------------------------------------------------------------

WORKFLOW = """
name: Nightly
on:
  schedule:
    - cron: "30 5 * * 1-5"
      timezone: Europe/Berlin
    - cron: "0 0 1 * *"
  workflow_dispatch:
jobs: {}
"""


def github(text: str) -> Outcome:
    return checked(
        github_actions.read(text, repository="shop/api", workflow="nightly.yml", ref="main")
    )


def test_the_schedule_of_a_workflow_starts_it_through_the_api() -> None:
    outcome = github(WORKFLOW)
    assert outcome.is_exact
    first, second = outcome.jobs
    assert first["payload"]["url"] == (
        "https://api.github.com/repos/shop/api/actions/workflows/nightly.yml/dispatches"
    )
    assert first["payload"]["body"] == {"ref": "main"}
    assert (first["cron_expression"], first["timezone"]) == ("30 5 * * 1-5", "Europe/Berlin")
    assert second["timezone"] == "UTC"
    assert {each.place.line for each in outcome.findings} == {5, 7}


def test_a_workflow_that_nobody_can_start_is_left_out() -> None:
    outcome = github(WORKFLOW.replace("  workflow_dispatch:\n", ""))
    assert (outcome.jobs, len(outcome.findings)) == ([], 2)
    needs = "  workflow_dispatch: {inputs: {env: {required: true}}}\n"
    outcome = github(WORKFLOW.replace("  workflow_dispatch:\n", needs))
    assert "env" in outcome.findings[0].why
    with pytest.raises(SourceUnreadable, match="--repository"):
        github_actions.read(WORKFLOW, repository=None, workflow="a.yml", ref="main")


# -- dkron, Cronicle, cron-job.org, QStash -------------------------------------------------------


def test_a_job_of_dkron() -> None:
    config = {"method": "GET", "url": URL, "headers": '["X-A: 1"]', "timeout": "20",
              "expectCode": "200, 204", "tlsNoVerifyPeer": "true"}  # fmt: skip
    found = {"name": "a", "schedule": "0 */5 * * * *", "timezone": "Asia/Tokyo", "retries": 2,
             "concurrency": "forbid", "executor": "http", "executor_config": config}  # fmt: skip
    outcome = checked(dkron.read(json.dumps([found])))
    assert outcome.is_exact
    (made,) = outcome.jobs
    assert made["payload"] == {
        "url": URL,
        "method": "GET",
        "headers": {"X-A": "1"},
        "verify_tls": False,
        "success_statuses": [200, 204],
    }
    assert (made["cron_expression"], made["overlap_policy"]) == ("*/5 * * * *", "skip")
    others = [
        {**found, "name": "seconds", "schedule": "*/10 * * * * *"},
        {**found, "name": "every", "schedule": "@every 1h30m"},
        {**found, "name": "shell", "executor": "shell"},
        {**found, "name": "child", "parent_job": "a"},
        {**found, "name": "match", "executor_config": {**config, "expectCode": "2.."}},
    ]
    outcome = checked(dkron.read(json.dumps(others)))
    assert [each.get("cron_expression") for each in outcome.jobs] == ["*/10 * * * * *", None]
    assert outcome.jobs[1]["interval_seconds"] == 5400
    assert len([each for each in outcome.findings if each.job is None]) == 3


def test_an_event_of_cronicle_and_of_its_successor() -> None:
    params = {"method": "POST", "url": URL, "headers": "X-A: 1\n", "data": "a=1", "timeout": 30}
    event = {
        "id": "e1", "title": "Report", "enabled": 1, "plugin": "urlplug", "params": params,
        "timing": {"minutes": [0, 30], "hours": [4], "days": [1], "weekdays": [1]},
        "timezone": "Europe/Berlin", "max_children": 1, "retries": 1, "retry_delay": 30,
        "notify_fail": "ops@example.com",
    }  # fmt: skip
    outcome = checked(cronicle.read(json.dumps({"rows": [event]})))
    assert outcome.is_exact
    (made,) = outcome.jobs
    assert (made["cron_expression"], made["day_match"]) == ("0,30 4 1 * 1", "all")
    assert (made["retry_delays"], made["notify"]) == ([30], ["ops@example.com"])
    mixed = checked(cronicle.read(json.dumps([{**event, "notify_fail": "root, ops@example.com"}])))
    assert (mixed.jobs[0]["notify"], details(mixed)) == (["ops@example.com"], {"notify_fail"})
    trigger = {
        "type": "schedule",
        "enabled": True,
        "hours": [4],
        "minutes": [0],
        "timezone": "UTC",
    }
    limits = [{"type": "job", "amount": 1}, {"type": "time", "duration": 20}]
    newer = {"title": "New", "plugin": "httpplug", "params": params, "triggers": [trigger],
             "limits": limits, "actions": [{"type": "email"}]}  # fmt: skip
    outcome = checked(cronicle.read(json.dumps({"rows": [newer]})))
    assert outcome.jobs[0]["timeout_seconds"] == 20
    assert details(outcome) == {"action email"}
    left = [
        {**event, "title": "shell", "plugin": "shellplug"},
        {**event, "title": "demand", "timing": False},
        {**event, "title": "years", "timing": {"years": [2027]}},
        {**newer, "title": "two", "triggers": [trigger, trigger]},
    ]
    outcome = cronicle.read(json.dumps(left))
    assert (outcome.jobs, len(outcome.findings)) == ([], 4)


def test_a_job_of_cron_job_org() -> None:
    job = {
        "jobId": 1, "enabled": True, "title": "Ping", "url": URL, "requestMethod": 1,
        "requestTimeout": -1, "redirectSuccess": False,
        "schedule": {"timezone": "Europe/Berlin", "expiresAt": 20270101000000, "hours": [-1],
                     "mdays": [-1], "minutes": [0, 30], "months": [-1], "wdays": [1, 2]},
        "auth": {"enable": True, "user": "a", "password": "b"},
        "extendedData": {"headers": {"X-A": "1"}, "body": "x"},
    }  # fmt: skip
    outcome = checked(cronjob_org.read(json.dumps({"jobDetails": job})))
    assert outcome.is_exact
    (made,) = outcome.jobs
    assert made["payload"]["headers"] == {"X-A": "1", "Authorization": "Basic YTpi"}
    assert (made["cron_expression"], made["timeout_seconds"]) == ("0,30 * * * 1,2", 30)
    assert made["ends_at"] == "2026-12-31T23:00:00Z"
    del job["extendedData"]
    both = {**job, "schedule": {"mdays": [1], "wdays": [1]}}
    outcome = checked(cronjob_org.read(json.dumps({"jobs": [job, both]})))
    assert len(outcome.jobs) == 1
    assert "extendedData" in details(outcome)


def test_a_schedule_of_qstash() -> None:
    found = {
        "scheduleId": "scd_1", "cron": "CRON_TZ=America/New_York 0 4 * * *", "destination": URL,
        "method": "POST", "header": {"Content-Type": ["application/json"]}, "body": '{"a":1}',
        "retries": 2, "isPaused": True, "timeout": 30,
    }  # fmt: skip
    outcome = checked(qstash.read(json.dumps([found])))
    assert outcome.is_exact
    (made,) = outcome.jobs
    assert (made["timezone"], made["cron_expression"]) == ("America/New_York", "0 4 * * *")
    assert (made["retry_delays"], made["status"]) == ([12.182, 148.413], "paused")
    outcome = qstash.read(json.dumps([{**found, "destination": "a-topic"}, {**found, "delay": 5}]))
    assert (len(outcome.jobs), details(outcome)) == (1, {"schedule scd_1", "delay"})


# -- any text ------------------------------------------------------------------------------------

MEMBERS = st.sampled_from(
    [
        "name", "kind", "spec", "metadata", "schedule", "jobTemplate", "template", "containers",
        "args", "command", "fields", "model", "pk", "task", "interval", "crontab", "cron",
        "destination", "header", "retries", "timing", "triggers", "limits", "type", "params",
        "url", "plugin", "executor", "executor_config", "headers", "Target", "Arn",
        "RetryPolicy", "ScheduleExpression", "httpTarget", "uri", "retryConfig", "jobs", "rows",
        "items", "hours", "minutes", "mdays", "wdays", "timeout", "definition", "options",
    ]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70) | st.text("a0*/-,=:@", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=6),
    max_leaves=25,
)
OPTIONS = {
    "timezone": None,
    "targets": {"a": URL},
    "repository": "a/b",
    "workflow": "c.yml",
    "ref": "main",
}


@pytest.mark.parametrize("name", [each for each in KINDS if each not in {"crontab", "cron.d"}])
@settings(deadline=None, max_examples=25)
@given(value=JSON)
def test_no_document_makes_an_importer_fail(name: str, value: object) -> None:
    with suppress(SourceUnreadable):
        KINDS[name].read(json.dumps(value), OPTIONS)


@pytest.mark.parametrize("name", ["crontab", "cron.d"])
@settings(deadline=None, max_examples=50)
@given(text=st.text("*/09 -@curlwgethps:.=%'\"\\\n\t$#~", max_size=60))
def test_no_text_makes_an_importer_fail(name: str, text: str) -> None:
    KINDS[name].read(f"* * * * * curl {text}\n{text}", OPTIONS)


@pytest.mark.parametrize("read", [dkron.read, qstash.read, cronicle.read, cloud_scheduler.read])
def test_a_text_that_is_no_json_is_named_with_its_line(read: Callable[..., Outcome]) -> None:
    with pytest.raises(SourceUnreadable, match="line 2, column 1"):
        read("[\n")
    with pytest.raises(SourceUnreadable, match="object"):
        read("[1]")

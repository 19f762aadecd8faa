"""The sample jobs that ``chronos up --demo`` loads."""

import json
from datetime import UTC, datetime

from chronos_common.domain import payloads
from chronos_common.domain.payloads import Email, Webhook
from chronos_common.embedded.demo.jobs import sample_jobs

ECHO = "http://127.0.0.1:8081"
JOBS = sample_jobs(ECHO, now=datetime(2026, 11, 21, 12, 0, tzinfo=UTC))


def test_there_are_a_dozen_with_names_of_their_own_and_the_tag_that_finds_them_again() -> None:
    assert len({job["name"] for job in JOBS}) == len(JOBS) >= 12
    assert all("demo" in job["tags"] for job in JOBS)


def test_every_payload_is_one_that_workers_accept() -> None:
    parsed = [payloads.parse(job["type"], job["payload"]) for job in JOBS]
    assert {type(payload) for payload in parsed} == {Webhook, Email}
    urls = [payload.url for payload in parsed if isinstance(payload, Webhook)]
    assert all(url.startswith(ECHO) for url in urls)


def test_every_placeholder_is_filled_in() -> None:
    assert "{" not in "".join(
        value for job in JOBS for value in [job["name"], json.dumps(job["payload"].get("url"))]
    )
    assert [job["run_at"] for job in JOBS if "run_at" in job] == ["2026-11-21T12:00:10+00:00"]


def test_they_show_each_kind_of_schedule() -> None:
    assert {job["schedule_type"] for job in JOBS} == {"cron", "interval", "once"}
    fields = {len(job["cron_expression"].split()) for job in JOBS if "cron_expression" in job}
    assert fields == {5, 6}

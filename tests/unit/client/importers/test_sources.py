"""Files of the shapes that public repositories hold: their jobs, and what is lost."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import accepted_jobs
from chronos_client.importers.http.request import OWN_HEADERS
from chronos_client.importers.kinds import KINDS
from chronos_client.importers.outcome import Job, Outcome, SourceUnreadable
from chronos_common.domain.payloads.webhook import RESERVED_HEADERS

SOURCES = Path(__file__).with_name("sources")
OPTIONS = {
    "timezone": "UTC",
    "targets": {"report": "https://example.com/report", "nightly": "https://example.com/nightly"},
    "repository": "shop/api",
    "workflow": "nightly.yml",
    "ref": "main",
}
#: The kind of a source whose folder is that of another kind.
OTHER_KINDS = {"crontab/system": "cron.d"}

#: The jobs of each source as "name | times", and what it says that no job does: entries that
#: became no job, and details of the others.
EXPECTED = {
    "crontab/container": (
        [
            "POST shop.example.com/api/tests/retry | */10 * * * * UTC",
            "GET shop.example.com/api/health | 5 * * * * UTC",
            "GET shop.example.com/api/literal | 0 4 * * * UTC",
        ],
        {"line 7: output", "line 10"},
    ),
    "crontab/debian": (
        [
            "GET example.com/weekly | 15 3 * * 7 UTC",
            "GET example.com/newsletter | 00 08 1,15 * * UTC",
        ],
        set(),
    ),
    "crontab/dynamic-dns": (
        [
            "GET dns.example.org/update | */5 * * * * UTC",
            "GET dns.example.net/update | 0 * * * * UTC",
        ],
        {"line 4", "line 6: output", "line 6: --timeout", "line 6: --tries", "line 6: time limit"},
    ),
    "crontab/postman": (
        ["POST example.com/api/check | */30 * * * * UTC", "GET example.com/daily | @daily UTC"],
        {"line 1: output", "line 2", "line 3", "line 4: --retry", "line 4: header Connection"},
    ),
    "crontab/system": (
        ["GET intranet.example.com/cron | */15 8-18 * * mon-fri UTC"],
        {"line 13", "line 14"},
    ),
    "kubernetes/continued-script.yaml": (["indexing | 0 */6 * * 1-5 Europe/Berlin"], set()),
    "kubernetes/environment.yaml": (["refresh | */15 * * * * Etc/UTC"], set()),
    "kubernetes/from-kubectl.yaml": (
        ["monthly | 30 1 1-31/2 * 1 Etc/UTC"],
        {"monthly: --timeout", "monthly: activeDeadlineSeconds"},
    ),
    "kubernetes/kustomize.yaml": (
        ["warm-up | @hourly Etc/UTC"],
        {"settings", "warm-up: backoffLimit", "warm-up: podFailurePolicy"},
    ),
    "kubernetes/secret.yaml": ([], {"process"}),
    "django-celery-beat/dump.json": (
        ["celery.backend_cleanup | 0 12 1-7 * SUN Europe/Moscow", "sync | 600"],
        {"celery.backend_cleanup: option expires"},
    ),
    "redbeat/definitions.json": (
        ["status | 60", "weekdays | 0 */2 * * 5,6,0,1 UTC"],
        {"redbeat:status: option schedule_id"},
    ),
    "eventbridge/get-schedule.json": (
        ["report | 43200"],
        {"report: MaximumEventAgeInSeconds", "report: EcsParameters"},
    ),
    "eventbridge/list-rules.json": (
        ["nightly | 30 2 * * MON-FRI UTC"],
        {"nightly: MaximumRetryAttempts", "nightly: MaximumEventAgeInSeconds", "uploads"},
    ),
    "eventbridge/list-schedules.json": ([], {"report"}),
    "cloud-scheduler/app-engine.json": ([], {"daily"}),
    "cloud-scheduler/list.json": (
        ["cleanup | 0 2 * * * Etc/UTC"],
        {"cleanup: attemptDeadline", "cleanup: maxRetryDuration", "signed"},
    ),
    "github-actions/nightly.yml": (
        ["Nightly: 17 3 * * * | 17 3 * * * UTC", "Nightly: 0 12 * * SUN | 0 12 * * SUN UTC"],
        set(),
    ),
    "github-actions/stale.yml": ([], {"nightly.yml, cron 1"}),
    "dkron/jobs.json": (
        ["sync | 30 */2 * * 1-5 UTC"],
        {"report", "sync: tags", "sync: owner_email", "sync: processors"},
    ),
    "dkron/one.json": ([], {"job1"}),
    "cronicle/create-event.json": (["wallet | 0,20,40 * * * * UTC"], {"wallet: timeout"}),
    "cronicle/get-schedule.json": (
        ["Crawl | 0 23 * * 0,1,2,3,4,5,6 Asia/Saigon"],
        {"Crawl: header Connection", "Crawl: multiplex", "Crawl: web_hook"},
    ),
    "xyops/events.json": (
        ["Probe | 5 * * * * UTC"],
        {"Probe: limit queue", "Probe: fields", "Manual"},
    ),
    "cron-job.org/create.json": (
        ["https://api.example.com/dispatches | 0 7 1 * * Europe/London"],
        set(),
    ),
    "cron-job.org/jobs.json": (
        ["Example | 0 7 * * 1,2,3,4,5 Europe/Berlin"],
        {"Example: extendedData", "Example: redirectSuccess"},
    ),
    "qstash/schedules.json": (
        ["scd_1 | */5 * * * * UTC"],
        {
            "scd_1: timeout", "scd_1: callback", "scd_1: delay", "scd_1: flowControlKey",
            "scd_1: parallelism",
        },
    ),
    "qstash/topic.json": ([], {"scd_2"}),
}  # fmt: skip


def read(source: str) -> Outcome:
    kind = OTHER_KINDS.get(source, source.partition("/")[0])
    outcome = KINDS[kind].read((SOURCES / source).read_text(), OPTIONS)
    accepted_jobs.check(outcome.jobs)
    return outcome


def times_of(job: Job) -> str:
    if job["schedule_type"] == "interval":
        return str(job["interval_seconds"])
    return f"{job['cron_expression']} {job['timezone']}"


def test_every_source_is_expected() -> None:
    files = {str(each.relative_to(SOURCES)) for each in SOURCES.glob("*/*")}
    assert files == EXPECTED.keys()


@pytest.mark.parametrize("source", EXPECTED)
def test_a_source_becomes_its_jobs_and_a_report_of_the_rest(source: str) -> None:
    outcome = read(source)
    jobs, lost = EXPECTED[source]
    assert [f"{each['name']} | {times_of(each)}" for each in outcome.jobs] == jobs
    assert {
        each.place.entry if each.job is None else f"{each.place.entry}: {each.what}"
        for each in outcome.findings
        if each.is_left_out
    } == lost


def test_variables_that_a_source_sets_are_in_the_request() -> None:
    first, second, third = (each["payload"] for each in read("crontab/container").jobs)
    assert first["headers"] == {"X-Cron-Secret": "s3cr3t-7"}
    assert second["url"] == "https://shop.example.com/api/health"
    assert third["headers"] == {"X-Cron-Secret": "$CRON_SECRET"}  # in single quotes
    (refresh,) = read("kubernetes/environment.yaml").jobs
    assert refresh["payload"]["url"] == "https://search.example.com/refresh?price=5$"
    assert refresh["payload"]["headers"] == {"api-key": 'a"b'}
    assert refresh["timeout_seconds"] == 90
    (indexing,) = read("kubernetes/continued-script.yaml").jobs
    assert indexing["payload"]["headers"]["Authorization"] == "Bearer t-1"
    assert indexing["payload"]["body"] == '{"full": true}'


def test_headers_that_no_job_may_have_are_those_that_the_server_refuses() -> None:
    assert OWN_HEADERS == RESERVED_HEADERS


def test_a_comment_above_a_job_is_its_description_and_a_legend_is_none() -> None:
    weekly, newsletter = read("crontab/debian").jobs
    assert "description" not in weekly
    assert newsletter["description"] == "of the week"
    (intranet,) = read("crontab/system").jobs
    assert "description" not in intranet


def test_a_start_is_the_phase_of_an_interval() -> None:
    (report,) = read("eventbridge/get-schedule.json").jobs
    assert report["starts_at"] == "2026-02-01T06:00:00Z"
    outcome = read("django-celery-beat/dump.json")
    assert outcome.jobs[1]["starts_at"] == "2026-01-01T00:05:00Z"
    assert "phase" not in {each.what for each in outcome.findings}


def changed(value: object, path: list[int], leaf: object) -> object:
    """Return a document in which another value stands at a place."""
    if not path or not isinstance(value, dict | list) or not value:
        return leaf
    keys = [*value] if isinstance(value, dict) else [*range(len(value))]
    key = keys[path[0] % len(keys)]
    copy = value.copy()
    copy[key] = changed(value[key], path[1:], leaf)
    return copy


LEAF = st.sampled_from(
    [None, True, -1, 9, 1.5, 10**15, "", "a", "-1", "5s", "a@b", "x: é\n", [], [None], [-1], {}]
)


@pytest.mark.parametrize("source", [each for each in EXPECTED if "." in each])
@settings(max_examples=20)
@given(path=st.lists(st.integers(0, 30), min_size=1, max_size=7), leaf=LEAF)
def test_no_change_of_a_source_makes_an_importer_fail(
    source: str, path: list[int], leaf: object
) -> None:
    documents = list(yaml.safe_load_all((SOURCES / source).read_text()))
    text = "\n---\n".join(json.dumps(changed(each, path, leaf)) for each in documents)
    with suppress(SourceUnreadable):
        KINDS[source.partition("/")[0]].read(text, OPTIONS)

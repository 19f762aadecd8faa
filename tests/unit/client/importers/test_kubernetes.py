"""CronJobs of Kubernetes."""

from contextlib import suppress

import pytest
import yaml

import accepted_jobs
from chronos_client.importers import documents, kubernetes
from chronos_client.importers.outcome import Outcome, SourceUnreadable


def cron_job(
    container: dict, *, job: dict | None = None, pod: dict | None = None, **spec: object
) -> dict:
    template = {"spec": {"restartPolicy": "Never", "containers": [container], **(pod or {})}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "ping", "namespace": "shop"},
        "spec": {
            "schedule": "*/15 * * * *",
            "timeZone": "Etc/UTC",
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": template, **(job or {})}},
            **spec,
        },
    }


CURL = {
    "name": "ping",
    "image": "curlimages/curl:8.10.1",
    "args": ["-fsS", "--max-time", "20", "https://example.com/a"],
}


def read(*objects: dict, **options: object) -> Outcome:
    outcome = kubernetes.read(yaml.safe_dump_all(objects), **options)
    accepted_jobs.check(outcome.jobs)
    return outcome


def only(*arguments: object, **spec: object) -> dict:
    outcome = read(cron_job(*arguments, **spec))
    assert outcome.is_exact, outcome.findings
    return outcome.jobs[0]


def details(outcome: Outcome) -> set[str]:
    return {each.what for each in outcome.findings if each.is_left_out}


def test_a_refresh_with_the_image_of_curl() -> None:
    made = only(CURL, concurrencyPolicy="Forbid")
    assert made == {
        "name": "ping",
        "type": "webhook",
        "payload": {"url": "https://example.com/a", "method": "GET", "follow_redirects": False},
        "schedule_type": "cron",
        "cron_expression": "*/15 * * * *",
        "timezone": "Etc/UTC",
        "max_attempts": 1,
        "overlap_policy": "skip",
        "tags": ["shop"],
        "timeout_seconds": 20.0,
    }


def test_a_shell_that_runs_curl() -> None:
    command = ["/bin/sh", "-c", "curl -m 5 -X POST http://api.shop.svc.cluster.local:8080/run"]
    outcome = read(cron_job({"image": "alpine/curl", "command": command}, suspend=True))
    (made,) = outcome.jobs
    assert (made["status"], made["payload"]["method"]) == ("paused", "POST")
    assert [each.what for each in outcome.findings] == ["host"]


def test_an_answer_of_kubectl_with_several_objects() -> None:
    items = [cron_job(CURL), {**cron_job(CURL), "metadata": {"name": "other"}}]
    outcome = read(
        {"kind": "List", "items": items}, {"kind": "Service", "metadata": {"name": "s"}}
    )
    assert [each["name"] for each in outcome.jobs] == ["ping", "other"]
    (finding,) = outcome.findings
    assert (finding.what, finding.job) == ("Service s", None)


def test_a_job_with_deadlines_and_replacement() -> None:
    made = only(
        {"image": "busybox", "command": ["wget", "-t", "1", "-qO-", "https://example.com/a"]},
        job={"activeDeadlineSeconds": 120},
        concurrencyPolicy="Replace",
        startingDeadlineSeconds=200,
    )
    assert made["timeout_seconds"] == 120
    assert made["overlap_policy"] == "cancel_running"
    assert (made["misfire_policy"], made["misfire_grace_seconds"]) == ("skip", 200)


def test_a_backup_is_left_out_with_its_line() -> None:
    text = (
        yaml.safe_dump(cron_job(CURL))
        + "---\n"
        + yaml.safe_dump(cron_job({"image": "postgres:16", "command": ["pg_dump", "-h", "db"]}))
    )
    outcome = kubernetes.read(text)
    assert len(outcome.jobs) == 1
    left_out = [each for each in outcome.findings if each.job is None]
    assert [each.place.line for each in left_out] == [text.splitlines().index("---") + 2]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {
                "container": {
                    "image": "curlimages/curl",
                    "args": ["-H", "key: $(KEY)", "https://e.com"],
                }
            },
            "environment",
        ),
        ({"container": {"image": "shop/report"}}, "own command"),
        (
            {"container": {"image": "a", "command": ["sh", "-c", "date; curl https://e.com"]}},
            "';'",
        ),
        ({"container": {"image": "a", "command": ["bash", "run.sh"]}}, "shell script"),
        ({"pod": {"initContainers": [{"image": "a"}]}}, "initContainers"),
        ({"job": {"parallelism": 3}}, "several pods"),
        ({"schedule": "0 0 * *"}, "five fields"),
        ({"concurrencyPolicy": "Sometimes"}, "concurrencyPolicy"),
        ({"schedule": "@every 90ms"}, "interval"),
    ],
)
def test_what_has_no_equal_is_left_out(changes: dict, why: str) -> None:
    outcome = read(cron_job(changes.pop("container", CURL), **changes))
    assert outcome.jobs == []
    assert why in outcome.findings[0].why


def test_retries_of_pods_and_a_missing_zone_are_named() -> None:
    outcome = read(cron_job(CURL, job={"backoffLimit": 2}, timeZone=None))
    assert details(outcome) == {"backoffLimit", "time zone"}
    zoned = read(cron_job(CURL, schedule="CRON_TZ=Asia/Tokyo 0 5 * * *", timeZone=None))
    assert zoned.jobs[0]["timezone"] == "Asia/Tokyo"


def test_a_step_of_days_beside_weekdays_means_either_as_in_go() -> None:
    assert only(CURL, schedule="0 0 */2 * MON")["cron_expression"] == "0 0 1-31/2 * MON"
    assert only(CURL, schedule="0 0 */2 * *")["cron_expression"] == "0 0 */2 * *"


def test_documents_that_grow_when_they_are_read_are_refused() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(SourceUnreadable, match="values"):
        kubernetes.read("\n".join(levels))
    with pytest.raises(SourceUnreadable, match="aliases"):
        kubernetes.read("a: &a [x]\nb: [" + ", ".join(["*a"] * 101) + "]")
    merges = ["a0: &a0 {x0: 1}"]
    merges += [
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], x{n}: 1}}" for n in range(1, 9)
    ]
    # From version 6.0.4 on PyYAML drops repeated members itself, and 10 are left.
    with suppress(SourceUnreadable):
        assert not kubernetes.read("\n".join(merges)).jobs
    with pytest.raises(SourceUnreadable, match="members"):
        kubernetes.read("\n".join(f"x{n}: 1" for n in range(documents.MAX_MEMBERS + 1)))
    with pytest.raises(SourceUnreadable, match="YAML"):
        kubernetes.read("a: !!python/object/apply:os.getcwd []")


def test_a_deadline_that_no_job_may_have_is_named() -> None:
    outcome = read(cron_job(CURL, startingDeadlineSeconds=700_000))
    assert outcome.jobs[0]["misfire_grace_seconds"] == 604_800
    assert details(outcome) == {"startingDeadlineSeconds"}

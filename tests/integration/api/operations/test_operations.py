"""Health, readiness, metrics, documentation, and what every answer carries."""

import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from importlib.resources import files
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from sqlalchemy import Engine
from sqlalchemy import text as sql

from chronos_api.app import create_app
from chronos_api.docs import openapi
from chronos_api.http import problems
from chronos_api.jobs import snapshots
from chronos_api.operations import metrics, readiness
from chronos_api.operations.readiness import ReadinessState
from chronos_common import clock, ids
from chronos_common.broker import Batch, Broker
from chronos_common.domain.timezones import files as zone_files
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage import workers
from chronos_common.storage.postgres.database import connect
from chronos_common.storage.workers import Process
from integration.api.api_settings import settings_for
from integration.api.callers import Caller, document_of, job
from unit.common.test_metrics import documented


@pytest.fixture(autouse=True)
def _uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each question about readiness be answered by a check of its own."""
    monkeypatch.setattr(readiness, "CACHED_SECONDS", 0)


@pytest.fixture
def processes(db: Engine) -> None:
    """A scheduler and a worker that are alive."""
    now = clock.now()
    with db.begin() as connection:
        for kind in ("scheduler", "worker"):
            process = Process(ids.new_id(now), kind, "test", 1, "0")
            workers.register(connection, process, now=now)


@pytest.fixture
def unreachable(servers: Servers) -> Flask:
    """An application whose database does not listen."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"postgresql+psycopg2://x@127.0.0.1:{reserved.getsockname()[1]}/x"
        yield create_app(settings_for(url, servers.redis_url))


@pytest.mark.parametrize("path", ["/health", "/api/v1/health"])
def test_a_process_is_healthy_without_its_database(unreachable: Flask, path: str) -> None:
    answer = Caller(unreachable).get(path)
    assert (answer.status_code, answer.json["status"]) == (200, "ok")


def failing(caller: Caller) -> set[str]:
    answer = caller.get("ready")
    checks = {check["name"]: check["ok"] for check in answer.json["checks"]}
    failed = {name for name, ok in checks.items() if not ok}
    assert answer.status_code == (503 if failed else 200)
    assert answer.json["status"] == ("not ready" if failed else "ready")
    return failed


def test_ready_means_that_jobs_run(
    nobody: Caller, db: Engine, processes: None, redis_url: str
) -> None:
    assert processes is None
    assert failing(nobody) == set()
    broker = Broker(redis_url)
    broker.publish([Batch("webhooks", [], clock.now())], now=clock.now() - timedelta(minutes=2))
    broker.close()
    assert failing(nobody) == {"queues"}
    assert "webhooks (120 s)" in nobody.get("ready").text
    with Redis.from_url(redis_url) as client:
        client.delete("webhooks")
    with db.begin() as connection:
        workers.declare_lost(connection, alive_since=clock.now() + timedelta(seconds=1))
    assert failing(nobody) == {"scheduler", "worker"}


def test_many_who_ask_whether_it_is_ready_cost_one_check(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = []
    check = readiness.check

    def counted(*arguments: Any, **options: Any) -> ReadinessState:
        checks.append(arguments)
        return check(*arguments, **options)

    monkeypatch.setattr(readiness, "CACHED_SECONDS", 600)
    monkeypatch.setattr(readiness, "check", counted)
    readiness.register(app)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: Caller(app).get("ready"), range(24)))
    readiness.register(app)
    assert len(checks) == 1
    assert len({answer.text for answer in answers}) == 1


def test_ready_and_metrics_show_the_time_zone_database(nobody: Caller) -> None:
    assert nobody.get("ready").json["timezone_database"] == zone_files.VERSION
    shown = f'chronos_timezone_database_info{{version="{zone_files.VERSION}"}} 1.0'
    assert shown in nobody.get("/metrics").text.splitlines()


def test_ready_names_what_is_missing(unreachable: Flask, database_url: str) -> None:
    assert failing(Caller(unreachable)) == {"database"}
    engine = connect(database_url, name="test")
    with engine.begin() as connection:
        connection.execute(sql("UPDATE alembic_version SET version_num = '0000'"))
    settings = settings_for(database_url, "redis://127.0.0.1:1/0")
    assert failing(Caller(create_app(settings, engine))) == {
        "schema",
        "scheduler",
        "worker",
        "redis",
    }
    engine.dispose()


def test_a_database_that_takes_no_changes_is_not_ready(
    engine: Engine, servers: Servers, read_only: Callable[[], AbstractContextManager[None]]
) -> None:
    url = engine.url.render_as_string(hide_password=False)
    caller = Caller(create_app(settings_for(url, servers.redis_url), engine))
    assert "database" not in failing(caller)
    with read_only():
        assert "database" in failing(caller)


def test_a_database_that_is_away_is_a_503_that_says_when_to_come_back(
    unreachable: Flask, caller: Caller
) -> None:
    answer = Caller(unreachable, caller.token).get("jobs")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    login = Caller(unreachable).post("auth/login", {"email": "a@example.com", "password": "x"})
    assert login.status_code == 503


def test_a_pool_in_use_is_a_503(caller: Caller, db: Engine, servers: Servers) -> None:
    url = db.url.render_as_string(hide_password=False)
    small = connect(url, name="test", pool_size=1, wait_seconds=0.1)
    busy = create_app(settings_for(url, servers.redis_url), small)
    with small.connect():
        assert Caller(busy, caller.token).get("jobs").status_code == 503
    assert Caller(busy, caller.token).get("jobs").status_code == 200
    small.dispose()


def test_metrics_show_requests_and_the_cluster(
    caller: Caller, processes: None, redis_url: str
) -> None:
    assert redis_url  # other tests may have left messages in its queues
    assert processes is None
    job_id = caller.create()["id"]
    caller.post(f"jobs/{job_id}/execute")
    caller.get(f"jobs/{job_id}")
    # Another test may have asked within this second.
    metrics.of(caller.app)._stale_at = 0.0
    families = {
        family.name: {
            tuple(sorted(sample.labels.items())): sample.value
            for sample in family.samples
            if not sample.name.endswith(("_created", "_bucket", "_sum"))
        }
        for family in text_string_to_metric_families(caller.get("/metrics").text)
    }
    read = (("method", "GET"), ("route", "/api/v1/jobs/<uuid:job_id>"), ("status", "200"))
    assert families["chronos_api_requests"][read] >= 1
    assert families["chronos_unfinished_executions"][(("status", "queued"),)] >= 1
    assert families["chronos_live_processes"][(("kind", "worker"),)] >= 1
    assert families["chronos_queue_depth"][(("queue", "webhooks"),)] == 0
    assert families["chronos_up"][(("service", "database"),)] == 1
    assert "chronos_oldest_overdue_seconds" in families


def _types(text: str) -> dict[str, str]:
    """Return the types of our metrics in Prometheus' text format."""
    found = dict(re.findall(r"^# TYPE (chronos_\w+) (\w+)$", text, re.MULTILINE))
    return {name: kind for name, kind in found.items() if not name.endswith("_created")}


def test_every_metric_of_the_api_is_documented_and_no_other(caller: Caller) -> None:
    page = documented("Cluster", "API")
    text = caller.get("/metrics").text
    assert _types(text) == {name: kind for name, (kind, _) in page.items()}
    for name, (_, labels) in page.items():
        for label, values in labels.items():
            shown = set(
                re.findall(rf'^{name}(?:_count)?{{.*?{label}="([^"]*)"', text, re.MULTILINE)
            )
            assert shown, (name, label)
            # Those of requests are the document's.
            assert name.startswith("chronos_api_") or shown == values, name


def test_what_a_route_may_answer_has_its_series_before_the_first_request(
    db: Engine, servers: Servers
) -> None:
    url = db.url.render_as_string(hide_password=False)
    fresh = create_app(settings_for(url, servers.redis_url), db)
    text = Caller(fresh).get("/metrics").text
    for method, path, statuses in openapi.answers(document_of(fresh)):
        route = re.sub(r"\{\w+\}", "<[^>]*>", path)
        timed = f'_seconds_count{{method="{method}",route="{route}"}} 0.0'
        counted = [f'method="{method}",route="{route}",status="{each}"}} 0.0' for each in statuses]
        for series in (timed, *counted):
            assert re.search(series, text), series


def test_metrics_are_computed_at_most_once_a_second(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = metrics.of(app)
    computed: list[object] = []
    now = 1e9

    def generate(registry: object) -> bytes:
        computed.append(registry)
        return str(len(computed)).encode()

    monkeypatch.setattr(metrics, "generate_latest", generate)
    monkeypatch.setattr(metrics, "monotonic", lambda: now)
    monkeypatch.setattr(kept, "_stale_at", 0.0)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: kept.text(), range(32))) == {b"1"}
    now += 0.9
    assert kept.text() == b"1"
    now += 0.2
    assert kept.text() == b"2"
    monkeypatch.undo()
    kept._stale_at = 0.0


def test_metrics_say_what_cannot_be_read(unreachable: Flask) -> None:
    text = Caller(unreachable).get("/metrics").text
    assert 'chronos_up{service="database"} 0.0' in text
    assert 'chronos_up{service="redis"} 1.0' in text


def test_every_answer_carries_a_request_id_and_closes_doors(caller: Caller) -> None:
    for path in ("jobs", "nowhere", "/docs", "/health", "jobs?page=x"):
        headers = caller.get(path).headers
        assert re.fullmatch(r"[0-9a-f-]{36}", headers["X-Request-ID"])
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert caller.get("jobs").headers["Cache-Control"] == "no-store"


def test_a_request_id_that_was_sent_is_kept_if_it_is_sane(caller: Caller) -> None:
    kept = caller.get("nowhere", headers={"X-Request-ID": "trace-1:a"})
    assert kept.headers["X-Request-ID"] == kept.json["request_id"] == "trace-1:a"
    for strange in ("a b", "x" * 129, '"}\\', "é"):
        answer = caller.get("nowhere", headers={"X-Request-ID": strange})
        assert answer.headers["X-Request-ID"] != strange


def test_a_problem_has_all_its_members(caller: Caller) -> None:
    found = caller.post("jobs", job(name="")).json
    assert found["type"] == "/docs#problem-invalid"
    assert (found["status"], found["instance"]) == (422, "/api/v1/jobs")
    assert found["errors"] == [{"field": "name", "message": "Must not be empty."}]


def test_a_wrong_method_names_the_right_ones(caller: Caller) -> None:
    answer = caller.put("jobs", {})
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


def test_a_fault_of_ours_is_a_500_that_shows_nothing(
    app: Flask, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the inner workings")

    monkeypatch.setattr("chronos_api.jobs.service.read", broken)
    client = app.test_client()
    headers = {"Authorization": f"Bearer {caller.token}"}
    answer = client.get(f"/api/v1/jobs/{ids.new_id(clock.now())}", headers=headers)
    assert (answer.status_code, answer.mimetype) == (500, problems.MEDIA_TYPE)
    assert "inner" not in answer.text
    assert answer.headers["X-Request-ID"] == answer.json["request_id"]


def test_the_documentation_needs_no_other_server(nobody: Caller) -> None:
    root = nobody.get("/")
    assert (root.status_code, root.headers["Location"]) == (302, "/docs")
    page = nobody.get("/docs")
    assert page.mimetype == "text/html"
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"/docs/page.css", "/docs/page.js", "/openapi.json"} <= set(loaded)
    for path in loaded:
        if not path.startswith("data:"):
            assert nobody.get(path).status_code == 200
    for name in ("page.html", "page.css", "page.js"):
        assert "http:" not in files("chronos_api.docs").joinpath(name).read_text()
        assert "https:" not in files("chronos_api.docs").joinpath(name).read_text()


def test_the_document_describes_every_route(app: Flask) -> None:
    document = document_of(app)
    assert document["openapi"] == "3.1.0"
    operations = {
        (path, method): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }
    routes = {
        (re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in {"HEAD", "OPTIONS"} and not rule.endpoint.startswith(("docs.", "ui"))
    }
    assert operations.keys() == routes
    names = [operation["operationId"] for operation in operations.values()]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in document["tags"]}
    for (path, _), operation in operations.items():
        assert operation["summary"]
        assert set(operation["tags"]) <= tags
        assert {"500"} < operation["responses"].keys()
        if "{" in path:
            assert "404" in operation["responses"]
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= operation["responses"].keys()


def test_the_schemas_of_the_document_are_valid_and_complete(app: Flask) -> None:
    document = document_of(app)
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        for field, inner in schema.get("properties", {}).items():
            is_any_value = (name, field) == ("WebhookPayload", "body")
            assert is_any_value or {"type", "$ref", "anyOf", "allOf"} & inner.keys(), (name, field)
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', str(document).replace("'", '"')))
    assert references
    for reference in references:
        place = document
        for key in reference.split("/"):
            place = place[key]


def test_an_answer_has_just_the_fields_of_its_schema(caller: Caller, app: Flask) -> None:
    schemas = document_of(app)["components"]["schemas"]
    made = caller.create()
    execution = caller.post(f"jobs/{made['id']}/execute").json
    assert made.keys() == schemas["JobDetail"]["properties"].keys()
    assert execution.keys() == schemas["ExecutionAnswer"]["properties"].keys()
    assert len(made["next_runs"]) == snapshots.NEXT_RUNS

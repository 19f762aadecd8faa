"""Targets and stored jobs of the worst kind: each fails for itself, and nobody else notices."""

import gzip
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

import factories
from acceptance.faults.stage import Stage
from chronos_common import clock
from chronos_common.domain.retries import RetryPolicy
from factories import Workspace
from targets import Target, after, by_path, endless, raw, reply

pytestmark = pytest.mark.xdist_group("faults-poison")

PER_SECOND = 150
ONCE = RetryPolicy(max_attempts=1)
TIMEOUT_SECONDS = 3.0

_HEAD = b"HTTP/1.1 200 OK\r\n"
_BOMB = gzip.compress(bytes(64 << 20))

ANSWERS = {
    "/": after(0.05),
    "/endless-body": endless(_HEAD + b"Content-Length: 99999999999\r\n\r\n", b"x" * 65536),
    "/endless-head": endless(_HEAD, b"X-More: " + b"x" * 8000 + b"\r\n"),
    "/dripping": endless(_HEAD + b"Content-Length: 1000\r\n\r\n", b"x", pause=1),
    "/bomb": reply(200, _BOMB, {"Content-Encoding": "gzip"}),
    "/no-http": raw(b"\x00\xff\x00\xff" * 100),
    "/bad-length": raw(_HEAD + b"Content-Length: many\r\n\r\n"),
    "/nothing": raw(b""),
    "/loop": reply(302, b"", {"Location": "/loop"}),
}

#: Those that may end well: their status decides, and what is wrong after it is cut off.
HARMLESS = {"/bomb", "/endless-body", "/endless-head", "/bad-length"}


def _urls(target: Target) -> dict[str, str]:
    """Return what each poisonous job calls."""
    own = {path: target.url + path for path in ANSWERS if path != "/"}
    return own | {
        "name": "http://does-not-resolve.invalid/",
        "port": "http://127.0.0.1:1/",
        "tls": target.url.replace("http:", "https:") + "/",
    }


_CRON = "UPDATE schedules SET kind = 'cron', interval_seconds = NULL, anchor = NULL"

#: What a hand at the database can do to a job.
SPOILED = {
    "expression": f"{_CRON}, expression = '99 99 L * *'",
    "zone": f"{_CRON}, expression = '* * * * *', timezone = 'Mars/A'",
    "payload": "UPDATE jobs SET payload = '[1, 2]'",
    "address": """UPDATE jobs SET payload = '{"url": "gopher://x\\u0001"}'""",
    "headers": """UPDATE jobs SET payload =
        CAST(CAST(payload AS jsonb) || '{"headers": {"A\\nB": ["x"]}}' AS json)""",
    "delays": "UPDATE jobs SET retry_delays = '{NaN}', backoff_seconds = 'Infinity'",
}


def test_poison_fails_for_itself_and_delays_nobody(shared_stage: Stage) -> None:
    """Proves the bounds of a transfer, and that each execution's fault is its own.

    Fails without ``MAXFILESIZE`` and its like (endless), or the ``except`` around each job's
    plan and preparation (a loop stops).
    """
    stage = shared_stage
    stage.target.answer = by_path(ANSWERS)
    load = stage.begin(per_second=PER_SECOND)
    jobs = _store(stage)
    stage.until(lambda: set(_fates(stage.engine, jobs)) == set(jobs), within=45)
    account = stage.end(load)
    account.assert_nothing_lost(within=30)
    fates = _fates(stage.engine, jobs)
    for name, (status, error) in fates.items():
        if name not in HARMLESS | {"delays", "large"}:
            assert status == "failed", (name, status, error)
            assert error, name
    assert fates["large"] == ("succeeded", None)
    assert stage.fleet.deaths == []


def _store(stage: Stage) -> dict[str, UUID]:
    """Store the poisonous jobs, due now."""
    now = clock.now()
    jobs: dict[str, UUID] = {}
    with stage.engine.begin() as connection:
        owner: Workspace = factories.workspace(connection, now=now, email="poison@example.com")

        def store(name: str, payload: dict[str, object]) -> None:
            jobs[name] = factories.job(
                connection,
                owner,
                factories.every(86_400, anchor=now),
                now=now,
                next_run_at=now,
                payload=payload,
                policy=ONCE,
                notify=(),
                timeout_seconds=TIMEOUT_SECONDS,
            )

        for name, url in _urls(stage.target).items():
            store(
                name, {"url": url, "follow_redirects": True} if name == "/loop" else {"url": url}
            )
        for name, statement in SPOILED.items():
            store(name, {"url": stage.target.url + "/"})
            column = "job_id" if "schedules" in statement else "id"
            connection.execute(text(f"{statement} WHERE {column} = :job"), {"job": jobs[name]})
        store("large", {"url": stage.target.url + "/", "method": "POST", "body": "x" * 900_000})
    return jobs


def _fates(engine: Engine, jobs: dict[str, UUID]) -> dict[str, tuple[str, str | None]]:
    """Return the status and error of each job's execution that has ended."""
    query = text(
        "SELECT job_id, status, error FROM executions"
        " WHERE job_id = ANY(:jobs) AND finished_at IS NOT NULL"
    )
    with engine.connect() as connection:
        rows = connection.execute(query, {"jobs": list(jobs.values())}).all()
    ended = {row.job_id: (row.status, row.error) for row in rows}
    return {name: ended[job] for name, job in jobs.items() if job in ended}

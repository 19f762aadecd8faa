"""``chronos up --demo``: sample jobs, and each of their executions as it happens."""

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any

import requests

from chronos_common import clock
from chronos_common.domain.statuses import FINAL, JobStatus, Status
from chronos_common.embedded.api_client import Client, RequestRefused
from chronos_common.embedded.console import Terminal

_POLL_SECONDS = 0.5
_SECONDS_BEFORE_NEXT_TRY = 2.0
_LIST_LIMIT = 100
_MAX_REMEMBERED = 10_000
_NOW = re.compile(r"\{now\+(\d+)s\}")
_NAME_WIDTH = 26
_SHOWN = FINAL | {Status.RETRYING}
_STYLES = {
    Status.SUCCEEDED: "green",
    Status.RETRYING: "yellow",
    Status.FAILED: "red",
    Status.SKIPPED: "dim",
    Status.CANCELLED: "dim",
}
_HEADER = (
    f"{'finished':<13}{'job':<{_NAME_WIDTH}}{'status':<11}{'attempt':<9}{'http':<6}"
    f"{'late':>9}{'took':>10}"
)


def sample_jobs(echo: str, *, now: datetime) -> list[dict[str, Any]]:
    """Return the sample jobs that come with Chronos, calling ``echo``, as the API takes them."""
    text = files("chronos_common.embedded").joinpath("sample_jobs.json").read_text("utf-8")
    text = text.replace("{echo}", echo)
    text = _NOW.sub(lambda match: (now + timedelta(seconds=int(match[1]))).isoformat(), text)
    jobs: list[dict[str, Any]] = json.loads(text)
    return jobs


def load(client: Client, jobs: Sequence[Mapping[str, Any]]) -> int:
    """Create the ``jobs`` that do not exist by name, and return their number.

    One that exists gets the echo server's current address, and is resumed if it was paused.
    """
    existing = {job["name"]: job for job in _stored(client)}
    created = 0
    for job in jobs:
        found = existing.get(job["name"])
        if found is None:
            client.send("POST", "/api/v1/jobs", job)
            created += 1
            continue
        if found["payload"].get("url") != job["payload"].get("url"):
            client.send("PATCH", f"/api/v1/jobs/{found['id']}", {"payload": job["payload"]})
        if found["status"] == JobStatus.PAUSED:
            client.send("POST", f"/api/v1/jobs/{found['id']}/resume", {})
    return created


def pause(client: Client, jobs: Sequence[Mapping[str, Any]]) -> None:
    """Pause those of ``jobs`` that would go on: the server that they call ends with the demo.

    A job without further occurrences is about to be completed, which a paused job would not be.
    """
    names = {job["name"] for job in jobs}
    going_on = [
        job["id"]
        for job in _stored(client)
        if job["name"] in names and job["status"] == JobStatus.ACTIVE and job["next_run_at"]
    ]
    if going_on:
        client.send("POST", "/api/v1/jobs/bulk/pause", {"ids": going_on})


def _stored(client: Client) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]]
    found = client.send("GET", f"/api/v1/jobs?tag=demo&limit={_LIST_LIMIT}")["items"]
    return found


@contextmanager
def watch(client: Client, echo: str, terminal: Terminal, *, now: datetime) -> Iterator[None]:
    """Print executions during the ``with`` block, and pause the sample jobs at its end."""
    jobs = sample_jobs(echo, now=now)
    with _warning(terminal, "The sample jobs could not be loaded"):
        created = load(client, jobs)
        known = len(jobs) - created
        terminal.say(f"Sample jobs: {created} new, {known} known. They call {echo}.\n")
    printer = _Printer(client, terminal, since=now)
    printer.start()
    try:
        yield
    finally:
        printer.stop()
        with _warning(terminal, "The sample jobs could not be paused"):
            pause(client, jobs)


@contextmanager
def _warning(terminal: Terminal, what: str) -> Iterator[None]:
    try:
        yield
    except (requests.RequestException, RequestRefused) as error:
        terminal.warn(f"{what}: {error}")


class _Printer:
    """Prints executions that finish, in a thread of its own, until it is stopped."""

    def __init__(self, client: Client, terminal: Terminal, *, since: datetime) -> None:
        self._client = client
        self._terminal = terminal
        self._since = since
        self._seen: OrderedDict[tuple[str, str, int], None] = OrderedDict()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo", daemon=True)

    def start(self) -> None:
        """Begin to print."""
        self._terminal.say(_HEADER, style="bold")
        self._thread.start()

    def stop(self) -> None:
        """Stop printing, after at most one request."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        failing = False
        while not self._stop.is_set():
            try:
                self._print_new()
                failing = False
            except (requests.RequestException, RequestRefused) as error:
                if not failing and not self._stop.is_set():
                    self._terminal.warn(f"The demo cannot read executions at the moment: {error}")
                failing = True
            self._stop.wait(_SECONDS_BEFORE_NEXT_TRY if failing else _POLL_SECONDS)

    def _print_new(self) -> None:
        for execution in self._new():
            style = _STYLES[Status(execution["status"])]
            self._terminal.say(describe(execution), style=style)

    def _new(self) -> Iterator[Mapping[str, Any]]:
        """Yield the executions that finished an attempt since the last call, oldest first."""
        items = self._client.send("GET", f"/api/v1/executions?limit={_LIST_LIMIT}")["items"]
        for execution in sorted(items, key=_when):
            key = (execution["id"], execution["status"], execution["attempt"])
            shown = execution["status"] in _SHOWN and _when(execution) >= self._since
            if shown and key not in self._seen:
                self._seen[key] = None
                yield execution
        while len(self._seen) > _MAX_REMEMBERED:
            self._seen.popitem(last=False)


def describe(execution: Mapping[str, Any]) -> str:
    """Return one line about an execution whose last attempt has ended, with the local time."""
    finished = _when(execution).astimezone()
    # An execution that waits for its next attempt counts that already. The one before has ended.
    ended = execution["attempt"] - (execution["status"] == Status.RETRYING)
    http_status = execution.get("http_status") or execution.get("reason") or ""
    attempts = f"{ended}/{execution['max_attempts']}"
    return (
        f"{finished:%H:%M:%S}.{finished.microsecond // 1000:03}"
        f" {execution['job_name'][: _NAME_WIDTH - 1]:<{_NAME_WIDTH}}{execution['status']:<11}"
        f"{attempts:<9}{http_status!s:<6}"
        f"{_milliseconds(execution.get('drift_ms')):>9}"
        f"{_milliseconds(execution.get('duration_ms')):>10}"
    )


def _when(execution: Mapping[str, Any]) -> datetime:
    if execution["status"] == Status.RETRYING:
        return clock.host_now()  # an attempt has ended, and lists hold no attempts
    text = execution["finished_at"] or execution["started_at"] or execution["scheduled_for"]
    return datetime.fromisoformat(text)


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} ms"

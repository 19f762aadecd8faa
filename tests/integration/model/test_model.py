"""Everything that can be done to a job, with every fault, in any order, against a plain model.

Hypothesis makes up the order. Whatever it is: no step makes a forbidden move, and once all faults
are over every occurrence that was due has exactly one row with exactly one fate. CONTRIBUTING.md
says how to run it for longer.
"""

import os
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, RowMapping

from chronos_api.app import create_app
from chronos_api.executions import service as executions_service
from chronos_api.jobs import changes
from chronos_api.jobs import service as jobs_service
from chronos_api.transactions import Call
from chronos_common import ids
from chronos_common.domain.outcomes import Outcome, Succeeded
from chronos_common.embedded.servers.servers import Servers
from chronos_common.errors import Conflict
from integration.api.api_settings import settings_for
from integration.model import cluster, oracle
from integration.model.cluster import Cluster, Crash, Fault, Held, Message, ModelWorker, Request
from integration.model.oracle import Job, Period
from integration.model.strategies import (
    FAULTS,
    INDEX,
    OUTCOMES,
    OVERLAPS,
    POLICIES,
    REDIS_FAULTS,
    SCHEDULES,
    SECONDS,
    USERS,
    WORKER_FAULTS,
)

EXAMPLES = int(os.environ.get("CHRONOS_TEST_MODEL_EXAMPLES", "25"))  # noqa: TID251 - test settings
MOST_JOBS, MOST_WORKERS = 4, 3
MOST_TICKS = 200
SHRINKS = os.environ.get("CHRONOS_TEST_MODEL_SHRINKS") == "1"  # noqa: TID251 - test settings

SOME_JOB = precondition(lambda self: self.jobs)
SOME_ROW = precondition(lambda self: self.rows)
SOMETHING_HELD = precondition(lambda self: any(each.held for each in self.cluster.workers))


class Model(RuleBasedStateMachine):
    """Drives a cluster and keeps the books."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self.cluster = cluster
        self.jobs: dict[UUID, Job] = {}
        self.rows: dict[UUID, RowMapping] = {}
        self.requests: set[Request] = set()
        self.returned: set[UUID] = set()

    @initialize(
        schedule=SCHEDULES, policies=POLICIES, max_runs=st.sampled_from([None, None, None, 4])
    )
    def begin(self, schedule: dict[str, Any], policies: dict[str, Any], max_runs: Any) -> None:
        cluster = self.cluster
        self.principal = cluster.begin()
        # A scheduler that has just begun declares nobody lost.
        cluster.rescuer.tick()
        for _ in range(2):
            self._add_worker()
        self.create(schedule, policies, max_runs)

    # Users

    @precondition(lambda self: len(self.jobs) < MOST_JOBS)
    @rule(schedule=SCHEDULES, policies=POLICIES, max_runs=st.sampled_from([None, None, 1, 4]))
    def create(self, schedule: dict[str, Any], policies: dict[str, Any], max_runs: Any) -> None:
        fields = {"name": "Ping", "payload": {"url": "http://127.0.0.1:9/"}, "retry_delays": [20]}
        answer = jobs_service.create(
            self._call(), {**fields, **schedule, **policies, "max_runs": max_runs}
        )
        self.jobs[answer["id"]] = Job(
            answer["id"],
            [Period.of(answer, self.cluster.now)],
            max_attempts=policies["max_attempts"],
        )

    def _reschedule(self, which: int, schedule: dict[str, Any]) -> None:
        if job := self._pick(which):
            before = jobs_service.read(self._call(), job.id)
            answer = self._change(job, schedule)
            fields = ("kind", "expression", "interval_seconds", "anchor")
            if any(answer[name] != before[name] for name in fields):
                job.reschedule(answer, self.cluster.now)
                if answer["status"] == "active":
                    job.status, job.stopped_at = "active", None

    def _change_policy(self, which: int, policy: str) -> None:
        if job := self._pick(which):
            self._change(job, {"overlap_policy": policy})

    def _pause(self, which: int) -> None:
        job = self._pick(which)
        if job and self._standing(job) == "active":
            changes.pause(self._call(), job.id)
            job.status, job.stopped_at = "paused", self.cluster.now
            self._check_stopped(job)

    def _resume(self, which: int) -> None:
        job = self._pick(which)
        if job and self._standing(job) == "paused":
            changes.resume(self._call(), job.id)
            job.status, job.stopped_at = "active", None

    def _delete(self, which: int) -> None:
        if job := self._pick(which):
            self._standing(job)
            jobs_service.delete(self._call(), job.id, expected=None)
            job.stopped_at = job.stopped_at or self.cluster.now
            job.status = "deleted"
            self._check_stopped(job)

    def _trigger(self, which: int) -> None:
        if job := self._pick(which):
            executions_service.trigger(self._call(), job.id)

    def _cancel(self, which: int) -> None:
        unfinished = [each for each, row in self.rows.items() if row["finished_at"] is None]
        if unfinished:
            identifier = unfinished[which % len(unfinished)]
            executions_service.cancel(self._call(), identifier)
            assert self.cluster.rows()[identifier]["status"] == "cancelled"

    def _retry(self, which: int) -> None:
        finished = [each for each, row in self.rows.items() if row["finished_at"] is not None]
        if finished:
            identifier = finished[which % len(finished)]
            job = self.jobs[self.rows[identifier]["job_id"]]
            try:
                executions_service.retry(self._call(), identifier)
            except Conflict:
                retries = [row for row in self.rows.values() if row["retry_of"] == identifier]
                under_way = any(row["finished_at"] is None for row in retries)
                assert under_way or job.status == "deleted"

    @SOME_JOB
    @rule(what=USERS, which=INDEX, schedule=SCHEDULES, policy=OVERLAPS)
    def use(self, what: str, which: int, schedule: dict[str, Any], policy: str) -> None:
        match what:
            case "reschedule":
                self._reschedule(which, schedule)
            case "change policy":
                self._change_policy(which, policy)
            case _:
                getattr(self, f"_{what}")(which)

    # Schedulers

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.cluster.advance(seconds)

    def _plan(self, fault: Fault) -> None:
        self._tick(self.cluster.planner.tick, fault)

    @SOME_JOB
    @rule(seconds=st.sampled_from([1.0, 5.0, 10.0]), fault=FAULTS)
    def wait_and_plan(self, seconds: float, fault: Fault) -> None:
        self.cluster.advance(seconds)
        self._tick(self.cluster.planner.tick, fault)

    def _dispatch(self, fault: Fault) -> None:
        self._tick(self.cluster.dispatcher.tick, fault)

    def _rescue(self, fault: Fault) -> None:
        self._tick(self.cluster.rescuer.tick, fault)

    def _sweep(self) -> None:
        self.cluster.sweeper.tick()

    def _complete(self) -> None:
        self.cluster.completer.tick()

    @SOME_JOB
    @rule(what=st.sampled_from(["plan", "dispatch", "rescue"]), fault=FAULTS)
    def schedule(self, what: str, fault: Fault) -> None:
        getattr(self, f"_{what}")(fault)

    @SOME_JOB
    @rule(what=st.sampled_from(["sweep", "complete"]))
    def look_after(self, what: str) -> None:
        getattr(self, f"_{what}")()

    # Redis

    @SOME_ROW
    @rule(what=REDIS_FAULTS, which=INDEX)
    def disturb_redis(self, what: str, which: int) -> None:
        getattr(self, f"_{what}")(which)

    def _flush(self, _which: int) -> None:
        self.cluster.wire.waiting.clear()

    def _redis_goes_or_comes(self, _which: int) -> None:
        self.cluster.wire.is_down = not self.cluster.wire.is_down

    def _repeat_a_message(self, which: int) -> None:
        wire = self.cluster.wire
        if wire.ever:
            wire.waiting.append(wire.ever[which % len(wire.ever)])

    def _forge_messages(self, which: int) -> None:
        now = self.cluster.now
        known = list(self.rows)[which : which + 1]
        self.cluster.wire.waiting += [
            Message("emails", known, now),
            Message("webhooks", [ids.trigger_id(now)], now),
        ]

    # Workers

    def _add_worker(self) -> None:
        if len(self.cluster.workers) == MOST_WORKERS:
            return
        self.cluster.workers.append(ModelWorker(self.cluster.engine))

    @precondition(lambda self: self.cluster.wire.waiting)
    @rule(which=INDEX, count=st.integers(1, 5))
    def claim(self, which: int, count: int) -> None:
        if worker := self._worker(which):
            for _ in range(count):
                self._take(worker)

    @SOMETHING_HELD
    @rule(which=INDEX)
    def start(self, which: int) -> None:
        if worker := self._worker(which):
            self._send(worker)

    @SOMETHING_HELD
    @rule(which=INDEX, outcome=OUTCOMES)
    def finish(self, which: int, outcome: Outcome) -> None:
        if worker := self._worker(which):
            for held in [each for each in worker.held if each.has_started]:
                self._finish(worker, held, outcome)

    def _kill_worker(self, which: int) -> None:
        if worker := self._worker(which):
            self.cluster.workers.remove(worker)

    def _freeze_worker(self, which: int) -> None:
        if worker := self._worker(which):
            worker.is_frozen = True

    def _thaw_workers(self, *, may_start: bool) -> None:
        """What it held it tries to start and to record, before or after its heartbeat."""
        for worker in [each for each in self.cluster.workers if each.is_frozen]:
            worker.is_frozen = False
            if may_start:
                self._send(worker)
                for held in list(worker.held):
                    self._finish(worker, held, Succeeded())
            else:
                worker.heartbeat._tick()

    def _stop_worker(self, which: int) -> None:
        if worker := self._worker(which):
            self.returned |= {each.claimed.id for each in worker.stop()}
            self.cluster.workers.remove(worker)

    @rule(what=WORKER_FAULTS, which=INDEX, may_start=st.booleans())
    def disturb_workers(self, what: str, which: int, *, may_start: bool) -> None:
        match what:
            case "add":
                self._add_worker()
            case "thaw":
                self._thaw_workers(may_start=may_start)
            case _:
                getattr(self, f"_{what}_worker")(which)

    @SOMETHING_HELD
    @rule(which=INDEX, seconds=st.sampled_from([5.0, 16.0, 31.0]))
    def freeze_a_busy_worker(self, which: int, seconds: float) -> None:
        """It wakes up, sooner or later, to find that others went on without it."""
        busy = [each for each in self.cluster.workers if each.held]
        busy[which % len(busy)].is_frozen = True
        self.cluster.advance(seconds)
        self._rescue(Fault.NONE)

    # The books

    @invariant()
    def no_step_does_what_must_not_be(self) -> None:
        after = self.cluster.rows()
        oracle.check_moves(self.rows, after, self.returned)
        oracle.check_rows(after, self.jobs)
        self.rows = after

    def teardown(self) -> None:
        """End all faults, let everything run, and account for every occurrence."""
        cluster = self.cluster
        cluster.wire.is_down = False
        cluster.workers = [ModelWorker(cluster.engine)]
        for _ in range(MOST_TICKS):
            if not cluster.planner.tick() and not cluster.is_behind():
                break
        ends = cluster.now
        self.no_step_does_what_must_not_be()
        for _ in range(MOST_TICKS):
            if all(row["finished_at"] for row in self.rows.values()):
                break
            self._run_all()
        self.no_step_does_what_must_not_be()
        unfinished = [row for row in self.rows.values() if row["finished_at"] is None]
        assert not unfinished, str([dict(row) for row in unfinished])
        for job in self.jobs.values():
            oracle.account(job, self.rows.values(), ends)
        self._check_requests()
        self._check_figures()

    def _run_all(self) -> None:
        """Let a healthy cluster work for three seconds."""
        self.cluster.dispatcher.tick()
        self.cluster.rescuer.tick()
        [worker] = self.cluster.workers
        while self.cluster.wire.waiting:
            self._take(worker)
        self._send(worker)
        self.no_step_does_what_must_not_be()
        for held in list(worker.held):
            self._finish(worker, held, Succeeded())
        self.cluster.advance(3)
        self.no_step_does_what_must_not_be()

    def _check_requests(self) -> None:
        """At least once: a request left for whatever succeeded. Not at all: what did not run."""
        asked = {each.execution_id for each in self.requests}
        for identifier, row in self.rows.items():
            if row["status"] == "succeeded":
                assert identifier in asked, row
            if row["status"] == "skipped":
                assert identifier not in asked, row

    def _check_figures(self) -> None:
        """Each fate was counted once, and somebody was told of each failure."""
        fates: dict[str, int] = {}
        for row in self.rows.values():
            fates[row["status"]] = fates.get(row["status"], 0) + 1
        assert self.cluster.counted() == fates
        assert self.cluster.told() == fates.get("failed", 0)

    # The steps' own pieces

    def _pick(self, which: int) -> Job | None:
        alive = [job for job in self.jobs.values() if job.status != "deleted"]
        return alive[which % len(alive)] if alive else None

    def _worker(self, which: int) -> ModelWorker | None:
        awake = [each for each in self.cluster.workers if not each.is_frozen]
        return awake[which % len(awake)] if awake else None

    def _call(self) -> Call:
        return Call(engine=self.cluster.engine, caller=self.principal, now=self.cluster.now)

    def _change(self, job: Job, body: dict[str, Any]) -> RowMapping:
        return changes.change(self._call(), job.id, body, expected=None)

    def _standing(self, job: Job) -> str:
        """Return the job's status; the cluster may have completed it meanwhile."""
        status = jobs_service.read(self._call(), job.id)["status"]
        if status == "completed":
            job.status = status
        assert status == job.status
        return str(status)

    def _check_stopped(self, job: Job) -> None:
        for row in self.cluster.rows().values():
            if row["job_id"] == job.id:
                assert row["status"] not in {"queued", "retrying"}, row

    def _tick(self, tick: Callable[[], object], fault: Fault) -> None:
        self.cluster.wire.fault = fault
        try:
            tick()
        except Crash:
            assert fault in {Fault.CRASH_BEFORE, Fault.CRASH_AFTER}
        self.cluster.wire.fault = Fault.NONE

    def _take(self, worker: ModelWorker) -> None:
        if not self.cluster.wire.waiting or self.cluster.wire.is_down:
            return
        message = self.cluster.wire.waiting.pop(0)
        for held in worker.take(message):
            job = self.jobs[held.claimed.job_id]
            row = self.rows.get(held.claimed.id) or self.cluster.rows()[held.claimed.id]
            assert message.queue == "webhooks"
            had_started = row["redeliveries"] or row["attempt"] > 1
            may_run = job.status in {"active", "completed"} or row["trigger"] != "schedule"
            assert may_run or had_started, row

    def _send(self, worker: ModelWorker) -> None:
        for request in worker.start():
            if request.execution_id not in self.returned:
                assert request not in self.requests, f"sent twice: {request}"
            self.requests.add(request)

    def _finish(self, worker: ModelWorker, held: Held, outcome: Outcome) -> None:
        worker.finish(held, outcome)


def test_whatever_happens_every_occurrence_has_one_row_with_one_fate(
    engine: Engine, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The services of the API obey the settings of an application.
    url = engine.url.render_as_string(hide_password=False)
    app = create_app(settings_for(url, servers.redis_url), engine)
    with app.app_context(), cluster.on(engine, monkeypatch) as running:
        run_state_machine_as_test(
            lambda: Model(running),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=40,
                derandomize=EXAMPLES <= 25,
                deadline=None,
                database=None,
                # Shrinking takes minutes: that is for whoever looks into what was found.
                phases=[Phase.generate, *([Phase.shrink] if SHRINKS else [])],
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )

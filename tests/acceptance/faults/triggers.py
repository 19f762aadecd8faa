"""A user who triggers a job again and again: what the API promised must run."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event, Thread
from types import TracebackType
from typing import Self

import requests
from sqlalchemy import text

from acceptance.faults.stage import Stage
from rigs import wait_until

_PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Answer:
    """What a request to the API came to; ``status`` is 0 if there was no answer."""

    asked_at: float  # time.monotonic()
    seconds: float
    status: int
    media_type: str = ""
    execution_id: str = ""


class Triggers:
    """Triggers a job of its own every tenth of a second, as long as its ``with`` block lasts."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self.answers: list[Answer] = []
        self._job_id = ""

    def __enter__(self) -> Self:
        self._job_id = self._stage.cluster.create(
            name="Triggered",
            payload={"url": self._stage.target.url},
            schedule_type="interval",
            interval_seconds=86_400,
            max_attempts=10,
            retry_delays=[1],
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def is_answered(self) -> bool:
        """Tell whether the last request was accepted."""
        return bool(self.answers) and self.answers[-1].status == requests.codes.accepted

    def promised(self) -> Sequence[str]:
        """Return the ids of the executions that the API answered with."""
        return [each.execution_id for each in self.answers if each.execution_id]

    def assert_all_ran(self, *, within: float = 30) -> None:
        """Assert that everything that was promised has succeeded, and was requested."""
        wait_until(lambda: not self._unfinished(), within=within)
        promised = set(self.promised())
        assert promised, "the API never accepted a trigger"
        with self._stage.engine.connect() as connection:
            rows = connection.execute(
                text("SELECT id, status FROM executions WHERE job_id = :job"),
                {"job": self._job_id},
            )
            found = {str(row.id): row.status for row in rows}
        assert promised <= set(found), f"lost: {promised - set(found)}"
        assert set(found.values()) == {"succeeded"}, found
        seen = {each.headers["webhook-id"] for each in list(self._stage.target.received)}
        assert set(found) <= seen

    def _unfinished(self) -> int:
        with self._stage.engine.connect() as connection:
            query = text(
                "SELECT count(*) FROM executions WHERE job_id = :job AND finished_at IS NULL"
            )
            return int(connection.execute(query, {"job": self._job_id}).scalar_one())

    def _run(self) -> None:
        cluster = self._stage.cluster
        url = f"{cluster.api_url}/api/v1/jobs/{self._job_id}/execute"
        with requests.Session() as session:
            session.headers.update(cluster.session.headers)
            while not self._stop.wait(_PAUSE_SECONDS):
                began = time.monotonic()
                try:
                    answer = session.post(url, timeout=15)
                except requests.RequestException:
                    self.answers.append(Answer(began, time.monotonic() - began, 0))
                    continue
                is_accepted = answer.status_code == requests.codes.accepted
                self.answers.append(
                    Answer(
                        began,
                        time.monotonic() - began,
                        answer.status_code,
                        answer.headers.get("Content-Type", ""),
                        answer.json()["id"] if is_accepted else "",
                    )
                )

"""How much of targets' answers a worker keeps."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

import specimens
from chronos_common import clock
from chronos_common.domain.executions import Attempt
from chronos_common.domain.outcomes import Succeeded
from chronos_common.domain.retries import RetryPolicy
from chronos_worker import kept_answers
from chronos_worker.attempts import Finished
from chronos_worker.kept_answers import ALWAYS_KEPT, KeptAnswers
from chronos_worker.recorder import Recorder

NOW = clock.now()


def answered(size: int, workspace: int = 7) -> Finished:
    claimed = specimens.claimed(specimens.job({"url": "https://example.com"}))
    response = {"status": 200, "body": "x" * size, "body_truncated": False}
    return Finished(
        claimed._replace(workspace_id=UUID(int=workspace)),
        "webhooks",
        RetryPolicy(),
        Succeeded(),
        Attempt(started_at=NOW, duration_ms=1, response=response),
    )


def kept(answers: KeptAnswers, finished: Finished, *, now: datetime = NOW) -> int:
    response = answers.fit(finished, now=now).attempt.response
    assert response is not None
    assert response["body_truncated"] is (len(response["body"]) < len(str(_body(finished))))
    assert response["body_truncated"] is ("note" in response)
    return len(response["body"])


def _body(finished: Finished) -> Any:
    return (finished.attempt.response or {})["body"]


def test_beyond_the_bytes_of_a_day_the_beginning_is_kept() -> None:
    answers = KeptAnswers(10_000)
    assert kept(answers, answered(6000)) == 6000
    assert kept(answers, answered(6000)) == ALWAYS_KEPT
    assert kept(answers, answered(ALWAYS_KEPT)) == ALWAYS_KEPT
    assert kept(answers, answered(4000)) == 4000
    # Another workspace has room of its own, and so has another day.
    assert kept(answers, answered(6000, workspace=8)) == 6000
    assert kept(answers, answered(6000), now=NOW + timedelta(days=1)) == 6000


def test_outcomes_that_wait_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_answers, "MAX_WAITING_BYTES", 10_000)
    answers, small = KeptAnswers(), answered(500)
    first = answers.fit(answered(6000), now=NOW)
    second = answers.fit(answered(6000, workspace=8), now=NOW)
    assert len(_body(second)) == ALWAYS_KEPT
    answers.release([second, answers.fit(small, now=NOW)])
    assert kept(answers, answered(6000)) == ALWAYS_KEPT
    answers.release([first])
    assert kept(answers, answered(6000)) == 6000


def test_the_recorder_keeps_no_more() -> None:
    recorder = Recorder(None, answers=KeptAnswers(0))  # it is not started
    recorder.put(answered(6000))
    assert len(_body(recorder._finished.get())) == ALWAYS_KEPT
    recorder = Recorder(None)
    recorder.put(answered(6000))
    recorder._forget([recorder._finished.get()])
    assert recorder._answers._waiting_bytes == 0

"""The share of each workspace in the first list of a queue."""

from datetime import timedelta
from uuid import uuid4

import pytest

from chronos_common.domain.queues import BLOCKING_SHARE, WEBHOOK_SHARE, Shares

SECOND = timedelta(seconds=1)


def test_a_workspace_has_its_share_in_each_queue_whatever_another_takes() -> None:
    shares, busy, other = Shares(), uuid4(), uuid4()
    taken = [shares.take("webhooks", busy) for _ in range(WEBHOOK_SHARE + 5)]
    assert sum(taken) == WEBHOOK_SHARE
    assert taken[-1] is False
    assert shares.take("webhooks", other)
    assert shares.take("emails", busy)
    assert sum(shares.take("emails", busy) for _ in range(100)) == BLOCKING_SHARE - 1


@pytest.mark.parametrize(
    ("wait", "share"),
    [
        (timedelta(0), WEBHOOK_SHARE),
        (-SECOND, WEBHOOK_SHARE),
        (SECOND / 4, int(0.75 * WEBHOOK_SHARE)),
        (0.999 * SECOND, 1),
        (10 * SECOND, 1),
    ],
)
def test_a_share_shrinks_while_messages_wait_and_is_never_nothing(
    wait: timedelta, share: float
) -> None:
    shares = Shares()
    shares.renew({"webhooks": wait, "webhooks_backlog": 60 * SECOND})
    assert shares.of("webhooks") == share
    assert shares.of("emails") == BLOCKING_SHARE


def test_each_reading_begins_anew() -> None:
    shares, workspace = Shares(), uuid4()
    while shares.take("emails", workspace):
        pass
    shares.renew({})
    assert shares.take("emails", workspace)

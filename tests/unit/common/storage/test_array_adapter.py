"""Array literals say what the list says, whatever stands in it."""

from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from chronos_common.domain.statuses import Status
from chronos_common.storage.postgres import array_adapter


@pytest.mark.parametrize(
    ("values", "literal"),
    [
        ([], "{}"),
        ([1, -2, None], "{1,-2,NULL}"),
        ([True, False], "{t,f}"),
        ([0.1, 1e300], "{0.1,1e+300}"),
        (["a", 'say "no"', "back\\slash", "NULL", "", "{,}"], None),
        ([UUID(int=1)], "{00000000000000000000000000000001}"),
        ([Status.QUEUED], '{"queued"}'),
        ([datetime(2026, 1, 2, tzinfo=UTC)], '{"2026-01-02T00:00:00+00:00"}'),
    ],
)
def test_a_list_is_one_literal(values: list[object], literal: str | None) -> None:
    written = array_adapter.literal(values)
    assert written == (literal or r'{"a","say \"no\"","back\\slash","NULL","","{,}"}')


def test_the_two_instants_of_an_hour_that_comes_twice_are_told_apart() -> None:
    first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    assert array_adapter.literal([first, first.replace(fold=1)]) == (
        '{"2026-10-25T00:30:00+00:00","2026-10-25T01:30:00+00:00"}'
    )


def test_a_type_that_no_statement_uses_is_refused() -> None:
    with pytest.raises(KeyError):
        array_adapter.literal([object()])

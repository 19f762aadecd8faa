"""How a user likes the dashboard: kept for every device, and bounded."""

from typing import Any

import pytest

from integration.api.callers import Caller, errors_of

VIEW = {"page": "jobs", "name": "Failing", "query": "last_outcome=failed&sort=name"}
DEFAULTS = {"time_zone": "UTC", "theme": "auto", "shortcuts": True, "views": []}


def test_preferences_are_kept_and_replaced_as_a_whole(caller: Caller, stranger: Caller) -> None:
    path = "auth/me/preferences"
    assert caller.get(path).json == DEFAULTS
    chosen = {"time_zone": "Europe/Berlin", "theme": "dark", "shortcuts": False, "views": [VIEW]}
    assert caller.put(path, chosen).json == chosen
    assert caller.get(path).json == chosen
    assert stranger.get(path).json == DEFAULTS
    assert caller.put(path, {"theme": "light"}).json == DEFAULTS | {"theme": "light"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"time_zone": "Europe/Berln"}, "time_zone"),
        ({"theme": "pink"}, "theme"),
        ({"shortcuts": "yes"}, "shortcuts"),
        ({"views": [VIEW] * 2}, "views"),
        ({"views": [VIEW | {"name": f"{n}"} for n in range(41)]}, "views"),
        ({"views": [VIEW | {"page": "audit"}]}, "views.0.page"),
        ({"views": [VIEW | {"query": "x" * 1001}]}, "views.0.query"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_wrong_preferences_are_named(caller: Caller, body: dict[str, Any], field: str) -> None:
    answer = caller.put("auth/me/preferences", body)
    assert answer.status_code == 422
    assert list(errors_of(answer)) == [field]


def test_the_nearest_time_zone_is_proposed(caller: Caller) -> None:
    answer = caller.put("auth/me/preferences", {"time_zone": "Europe/Berln"})
    assert "Europe/Berlin" in errors_of(answer)["time_zone"]


def test_preferences_are_in_the_export_of_the_account(caller: Caller) -> None:
    caller.put("auth/me/preferences", {"theme": "dark"})
    with caller.get("auth/me/export") as answer:
        assert '"dark"' in answer.text

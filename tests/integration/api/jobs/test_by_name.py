"""Names: each way in asks the same rule, and finds what another way accepted."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from integration.api.callers import DAILY, WEBHOOK, Caller, job

NO_NAMES = ["", " ", "a\nb", "a\n", "a\u2028b", "a\x1bb", "\u200b\u200d", "\u3164", "\ufeff"]
WAYS: dict[str, Callable[[Caller, str], TestResponse]] = {
    "create": lambda caller, name: caller.post("jobs", job(name=name)),
    "bulk": lambda caller, name: caller.post("jobs/bulk", {"jobs": [job(name=name)]}),
    "by name": lambda caller, name: _put(caller, name, tags=[]),
    "by name in the body": lambda caller, name: _put(caller, "Ping", name=name),
    "tag": lambda caller, name: caller.post("jobs", job(tags=["a", name])),
    "filter": lambda caller, name: caller.get(f"jobs?name={quote(name)}"),
    "tag filter": lambda caller, name: caller.get(f"jobs?tag={quote(name)}"),
    "tags to add": lambda caller, name: _tags(caller, {"status": "active"}, name),
    "choice": lambda caller, name: _tags(caller, {"name": name}, "x"),
    "choice by tag": lambda caller, name: _tags(caller, {"tag": name}, "x"),
    "key": lambda caller, name: caller.post("keys", {"name": name, "scopes": ["jobs:read"]}),
    "new workspace": lambda caller, name: caller.post("workspaces", {"name": name}),
    "workspace": lambda caller, name: caller.patch("workspace", {"name": name}),
    "compat": lambda caller, name: caller.post(
        "/api/jobs", {"name": name, "schedule": "0 8 * * *", "payload": WEBHOOK}
    ),
}


def _put(caller: Caller, path: str, **fields: Any) -> TestResponse:
    body = {"payload": WEBHOOK, **DAILY, **fields}
    return caller.put(f"jobs/by-name/{quote(path, safe='')}", body)


def _tags(caller: Caller, chosen: dict[str, Any], tag: str) -> TestResponse:
    return caller.post("jobs/bulk/tag", {"filter": chosen, "add": [tag]})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NO_NAMES)
def test_what_nobody_can_see_or_type_is_refused_by_every_way(
    caller: Caller, way: str, name: str
) -> None:
    answer = WAYS[way](caller, name)
    # Without a name there is no such path.
    expected = 404 if way == "by name" and not name else 422
    assert answer.status_code == expected, answer.text
    assert caller.get("jobs").json["total"] == 0


@pytest.mark.parametrize(
    "name",
    [
        "Ping",
        "Cafe\u0301 bu\u0308cher",
        "\u00a0 Ping \u3000",
        "\u0646\u0627\u0645\u0647\u200c\u0647\u0627",
        "a/b",
        "/a",
        "a//b",
        "a/",
        "//",
        "/a/../b//",
        ".",
        "..",
        "../a",
        "%2F",
        "a+b",
        "a?b#c;d",
        "\u212b \ufb01",
    ],
)
def test_a_name_that_one_way_accepts_each_other_way_finds(caller: Caller, name: str) -> None:
    made = caller.create(name=name, tags=[name])
    again = _put(caller, name, description="Changed", tags=[name])
    assert again.status_code == 200, again.text
    assert again.json["id"] == made["id"]
    ways = [f"name={quote(name)}", f"tag={quote(name)}", f"search={quote(made['name'])}"]
    ways.append(f"search={quote(name.strip())}")
    for query in ways:
        assert [each["id"] for each in caller.get(f"jobs?{query}").json["items"]] == [made["id"]]
    for chosen in ({"name": name}, {"tag": name}):
        assert _tags(caller, chosen, "found").json["matched"] == 1
    removal = {"filter": {"tag": "found"}, "remove": [name, "found"]}
    caller.post("jobs/bulk/tag", removal)
    assert caller.get(f"jobs/{made['id']}").json["tags"] == []

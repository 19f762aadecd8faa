"""Tickets: how a browser's EventSource, which sends no headers, opens the event stream."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
import requests
import time_machine
from flask import Flask
from playwright.sync_api import Page
from sqlalchemy import Engine

from acceptance.faults.proxy import Proxy
from chronos_api.security.access import Scope
from chronos_common import clock
from chronos_common.storage.tables import memberships
from integration.api.api_process import Server
from integration.api.browsers import browsing
from integration.api.callers import Caller, join
from integration.api.events.test_events import create, send, server, start  # noqa: F401 - fixtures
from integration.api.route_table import Route, routes
from integration.api.security.test_access import key_for
from repository import ROOT
from rigs import wait_until

PAGE = ROOT / "docs" / "statistics.md"
EXAMPLE = re.compile(r"^```js\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def ticket_of(caller: Caller) -> str:
    answer = caller.post("events/ticket")
    assert answer.status_code == 201, answer.text
    return str(answer.json["ticket"])


def opened(
    app: Flask, ticket: str, in_address: Mapping[str, str] | None = None, **headers: str
) -> int:
    """Return how the stream answers a ticket; it would not end by itself."""
    client = app.test_client()
    with closing(
        client.get(
            "/api/v1/events",
            query_string={"ticket": ticket, **(in_address or {})},
            headers=headers,
        )
    ) as answer:
        return answer.status_code


def test_a_ticket_opens_the_stream_for_a_minute_and_more_than_once(
    caller: Caller, app: Flask
) -> None:
    began = clock.host_now()
    answer = caller.post("events/ticket").json
    ends = datetime.fromisoformat(answer["expires_at"])
    assert timedelta(seconds=50) < ends - began <= timedelta(seconds=61)
    address = urlsplit(answer["url"])
    assert (address.path, parse_qs(address.query)) == (
        "/api/v1/events",
        {"ticket": [answer["ticket"]]},
    )
    assert [opened(app, answer["ticket"]) for _ in range(3)] == [200, 200, 200]
    with time_machine.travel(ends - timedelta(seconds=1), tick=False):
        assert opened(app, answer["ticket"]) == 200
    with time_machine.travel(ends, tick=False):
        assert opened(app, answer["ticket"]) == 401
        refused = app.test_client().get(answer["url"])
    assert "/api/v1/events/ticket" in refused.json["detail"]
    assert answer["ticket"] not in refused.text


def test_a_ticket_opens_nothing_but_the_event_stream(caller: Caller, app: Flask) -> None:
    ticket = ticket_of(caller)
    bearer = Caller(app, ticket)

    def answers(route: Route) -> set[int]:
        path = route.path(dict.fromkeys(route.arguments, str(uuid4())))
        client = app.test_client()
        joint = "&" if "?" in path else "?"
        found = {bearer.send(route.method, path).status_code}
        for name in ("ticket", "api_key", "token", "access_token"):
            with closing(client.open(f"{path}{joint}{name}={ticket}", method=route.method)) as one:
                found.add(one.status_code)
        return found

    others = [
        each
        for each in routes(app)
        if each.access.role or each.access.scope
        if (each.method, each.rule) != ("GET", "/api/v1/events")
    ]
    assert {str(each): found for each in others if (found := answers(each)) != {401}} == {}
    assert opened(app, ticket, Authorization="Bearer nonsense") == 401
    refreshed = app.test_client().post("/api/v1/auth/refresh", json={"refresh_token": ticket})
    assert refreshed.status_code == 401


def test_tokens_and_keys_are_no_tickets(caller: Caller, app: Flask) -> None:
    key = key_for(caller, list(Scope)).token
    for text in (caller.token, key, "", "nonsense", f"{ticket_of(caller)}x"):
        assert text is not None
        assert opened(app, text) == 401


def test_a_ticket_is_for_the_workspace_in_which_it_was_made(
    caller: Caller, stranger: Caller, app: Flask, db: Engine
) -> None:
    with db.begin() as connection:
        connection.execute(
            memberships.insert().values(
                workspace_id=stranger.workspace_id,
                user_id=caller.user_id,
                role="viewer",
                created_at=clock.now(),
            )
        )
    second = str(stranger.workspace_id)
    ticket = caller.post("events/ticket", headers={"X-Workspace": second}).json["ticket"]
    assert opened(app, ticket) == opened(app, ticket, **{"X-Workspace": second}) == 200
    assert opened(app, ticket, **{"X-Workspace": str(caller.workspace_id)}) == 404
    assert opened(app, ticket, in_address={"workspace": second}) == 200
    assert opened(app, ticket, in_address={"workspace": str(caller.workspace_id)}) == 404
    caller.post("members/leave", headers={"X-Workspace": second})
    assert opened(app, ticket) == 404
    assert opened(app, ticket_of(caller)) == 200


def _logs_out(member: Caller, _: Caller) -> None:
    assert member.post("auth/logout").status_code == 204


def _is_removed(member: Caller, owner: Caller) -> None:
    assert owner.delete(f"members/{member.user_id}").status_code == 204


@pytest.mark.parametrize(("ends", "status"), [(_logs_out, 401), (_is_removed, 404)])
def test_a_ticket_ends_with_the_login_and_the_membership_of_its_maker(
    caller: Caller,
    app: Flask,
    db: Engine,
    ends: Callable[[Caller, Caller], None],
    status: int,
) -> None:
    member = join(app, db, caller.workspace_id, "viewer")
    ticket = ticket_of(member)
    assert opened(app, ticket) == 200
    ends(member, caller)
    assert opened(app, ticket) == status


def test_a_ticket_is_as_good_as_the_api_key_that_made_it(caller: Caller, app: Flask) -> None:
    made = caller.post("keys", {"name": "Board", "scopes": ["stats:read"]}).json
    board = Caller(app, made["key"])
    ticket = ticket_of(board)
    assert opened(app, ticket) == 200
    assert caller.delete(f"keys/{made['id']}").status_code == 204
    assert opened(app, ticket) == 401
    other = key_for(caller, [each for each in Scope if each != Scope.STATS_READ])
    assert other.post("events/ticket").status_code == 403


def test_a_key_that_ends_ends_its_tickets(caller: Caller, app: Flask) -> None:
    soon = clock.now() + timedelta(seconds=20)
    body = {"name": "Board", "scopes": ["stats:read"], "expires_at": clock.rfc3339(soon)}
    ticket = ticket_of(Caller(app, caller.post("keys", body).json["key"]))
    assert opened(app, ticket) == 200
    with time_machine.travel(soon + timedelta(seconds=1), tick=False):
        assert opened(app, ticket) == 401


def test_a_ticket_is_not_kept_for_an_idempotency_key(caller: Caller) -> None:
    again = {"Idempotency-Key": str(uuid4())}
    assert caller.post("events/ticket", headers=again).status_code == 201
    assert caller.post("events/ticket", headers=again).status_code == 409


def test_the_last_event_may_be_named_in_the_address(caller: Caller, app: Flask) -> None:
    address = f"/api/v1/events?ticket={ticket_of(caller)}&last_event_id="
    client = app.test_client()
    for good in ("", "1763712000000-0"):
        with closing(client.get(address + good)) as answer:
            assert answer.status_code == 200
    wrong = client.get(f"{address}yesterday")
    assert wrong.status_code == 422
    assert [each["field"] for each in wrong.json["errors"]] == ["last_event_id"]


def test_no_log_and_no_metric_holds_a_ticket(server: Server, caller: Caller) -> None:  # noqa: F811
    ticket = send(server, caller, "POST", "events/ticket")["ticket"]
    address = f"{server.url}/api/v1/events?ticket={ticket}"
    for good in (address, f"{address}&last_event_id=nonsense", f"{address}x"):
        requests.get(good, stream=True, timeout=10).close()
    path = address.removeprefix(server.url).encode()
    # What gunicorn cannot read as a request, it would log and answer as it came.
    broken = server.speak(b"GET " + path + b"\r\n\r\n")
    broken += server.speak(b"GET " + path + b"\x01 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert broken.count(b" 400 ") == 2
    assert ticket.encode() not in broken
    wait_until(lambda: server.log.read_text().count("Invalid request") == 2)
    log = server.log.read_text()
    assert "GET /api/v1/events?..." in log
    assert ticket not in log
    assert ticket not in requests.get(f"{server.url}/metrics", timeout=10).text


RECORDED = """
window.seen = [];
const show = (name) => (data) => window.seen.push([name, data]);
const [showStats, showChanges, readAgain] = ["stats", "changes", "reset"].map(show);
"""


def follow(page: Page, url: str, caller: Caller) -> None:
    """Run the example of the documentation in a page of the server's origin."""
    page.goto(f"{url}/docs")
    (example,) = EXAMPLE.findall(PAGE.read_text())
    page.evaluate(f"(token) => {{{RECORDED}{example}}}", caller.token)
    wait_until(lambda: any(name == "stats" for name, _ in shown(page)), within=20)


def shown(page: Page) -> list[tuple[str, Any]]:
    """Return what the example has shown so far: the event, and its data."""
    return [(name, data) for name, data in page.evaluate("window.seen")]


def wait_for_actions(page: Page, wanted: Sequence[str]) -> None:
    """Wait until the page has been shown these actions, in this order and no others."""

    def actions() -> list[str]:
        changes = [data for name, data in shown(page) if name == "changes"]
        return [each["action"] for data in changes for each in data["actions"]]

    wait_until(lambda: actions() == list(wanted), within=20)


@contextmanager
def proxied(server: Server) -> Iterator[Proxy]:  # noqa: F811
    with closing(Proxy(server.url)) as proxy:
        yield proxy


def lose_a_change(proxy: Proxy, server: Server, caller: Caller, job_id: str) -> None:  # noqa: F811
    """Break the connection of the stream just before it tells of a change."""
    with proxy.losing(b"event: changes"):
        send(server, caller, "POST", f"jobs/{job_id}/pause")
        wait_until(lambda: proxy.losses > 0)


def test_in_a_browser_a_stream_that_breaks_goes_on_with_the_same_ticket(
    server: Server,  # noqa: F811
    caller: Caller,
) -> None:
    with browsing() as page, proxied(server) as proxy:
        sent: list[str] = []
        page.on("request", lambda request: sent.append(urlsplit(request.url).path))
        follow(page, proxy.url, caller)
        job_id = create(server, caller)["id"]
        wait_for_actions(page, ["job.create"])
        lose_a_change(proxy, server, caller, job_id)
        wait_for_actions(page, ["job.create", "job.pause"])
        assert sent.count("/api/v1/events/ticket") == 1
        assert sent.count("/api/v1/events") == 2


def test_in_a_browser_a_stream_whose_ticket_has_ended_goes_on_with_another(
    server: Server,  # noqa: F811
    caller: Caller,
) -> None:
    with browsing() as page, proxied(server) as proxy:
        sent: list[str] = []
        page.on("request", lambda request: sent.append(urlsplit(request.url).path))
        follow(page, proxy.url, caller)
        job_id = create(server, caller)["id"]
        wait_for_actions(page, ["job.create"])
        page.route("**/events?ticket=*", lambda route: route.fulfill(status=401), times=1)
        lose_a_change(proxy, server, caller, job_id)
        wait_for_actions(page, ["job.create", "job.pause"])
        assert sent.count("/api/v1/events/ticket") == 2

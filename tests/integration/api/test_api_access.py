"""Every route, for every role, in the own and in a foreign workspace, and for nobody."""

from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from chronos_api import access
from chronos_api.access import Role
from integration.api.callers import Caller, job, register

# Method and path of each route that needs a login, and the body that it takes.
ROUTES: dict[tuple[str, str], object] = {
    ("POST", "auth/logout"): None,
    ("GET", "auth/me"): None,
    ("POST", "jobs"): job(),
    ("GET", "jobs"): None,
    ("GET", "jobs/{job}"): None,
    ("PATCH", "jobs/{job}"): {"name": "Changed"},
    ("PUT", "jobs/{job}"): job(),
    ("DELETE", "jobs/{job}"): None,
    ("POST", "jobs/{job}/pause"): None,
    ("POST", "jobs/{job}/resume"): None,
    ("POST", "jobs/{job}/execute"): None,
    ("GET", "jobs/{job}/executions"): None,
    ("GET", "jobs/{job}/status"): None,
    ("GET", "executions"): None,
    ("GET", "executions/{execution}"): None,
    ("GET", "executions/{execution}/logs"): None,
    ("POST", "executions/{execution}/cancel"): None,
    ("POST", "executions/{execution}/retry"): None,
    ("POST", "schedules/preview"): {"schedule_type": "interval", "interval_seconds": 5},
}
WRITES = [route for route in ROUTES if route[0] != "GET" and route[1].startswith(("jobs", "exec"))]
NAMED = [route for route in ROUTES if "{" in route[1]]


def send(caller: Caller, route: tuple[str, str], places: dict[str, str]) -> TestResponse:
    method, path = route
    return caller.send(method, path.format(**places), json=ROUTES[route])


@pytest.fixture
def places(caller: Caller) -> dict[str, str]:
    """A job of the caller, and an execution of it."""
    job_id = caller.create()["id"]
    execution_id = caller.post(f"jobs/{job_id}/execute").json["id"]
    return {"job": job_id, "execution": execution_id}


def test_every_route_is_in_the_matrix(app: Flask) -> None:
    found = set()
    for rule in app.url_map.iter_rules():
        if access.access_of(app.view_functions[rule.endpoint]).role is not None:
            path = rule.rule.removeprefix("/api/v1/")
            path = path.replace("<uuid:job_id>", "{job}").replace(
                "<uuid:execution_id>", "{execution}"
            )
            found |= {(method, path) for method in rule.methods or () if method in METHODS}
    assert found == set(ROUTES)


METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_nobody_gets_in_without_a_token(
    nobody: Caller, places: dict[str, str], route: tuple[str, str]
) -> None:
    answer = send(nobody, route, places)
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_role_may_do_what_it_may(
    caller: Caller, db: Engine, places: dict[str, str], route: tuple[str, str], role: str
) -> None:
    if route[1].endswith("retry"):
        caller.post(f"executions/{places['execution']}/cancel")
    answer = send(caller.me_in(role, db), route, places)
    if role == Role.VIEWER and route in WRITES:
        assert answer.status_code == 403
        assert "'editor'" in answer.json["detail"]
    else:
        assert answer.status_code < 300


@pytest.mark.parametrize("route", NAMED, ids=" ".join)
def test_what_belongs_to_others_is_not_found(
    caller: Caller, stranger: Caller, places: dict[str, str], route: tuple[str, str]
) -> None:
    unknown = {name: str(uuid4()) for name in places}
    foreign, missing = send(stranger, route, places), send(stranger, route, unknown)
    assert foreign.status_code == missing.status_code == 404
    # Nothing tells a foreign id from one that never was.
    assert foreign.json["detail"] == missing.json["detail"]
    assert caller.get(f"jobs/{places['job']}").json["version"] == 1


def test_lists_show_the_own_workspace_only(app: Flask, db: Engine, places: dict[str, str]) -> None:
    stranger = register(app, db)
    assert places
    assert stranger.get("jobs").json["total"] == 0
    assert stranger.get("executions").json["total"] == 0
    assert stranger.get(f"executions?job_id={places['job']}").json["items"] == []


def test_a_viewer_does_not_see_the_signing_secret(caller: Caller, db: Engine) -> None:
    secrets = {
        role: caller.me_in(role, db).get("auth/me").json["workspace"]["signing_secret"]
        for role in Role
    }
    assert secrets[Role.VIEWER] is None
    assert secrets[Role.EDITOR] == secrets[Role.OWNER] == "whsec_dGVzdA=="


def test_an_application_with_a_route_that_declares_no_access_is_not_built(app: Flask) -> None:
    forgetful = Flask("forgetful")
    forgetful.add_url_rule("/secret", view_func=lambda: "everybody sees this")
    with pytest.raises(AttributeError):
        access.check_routes(forgetful)
    access.check_routes(app)

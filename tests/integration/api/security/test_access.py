"""Every route, for every role, key, and in the own and in a foreign workspace.

The routes come from the application's url_map, so that one added later is covered or fails here.
"""

from collections.abc import Callable
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, update

from chronos_api.app import create_app
from chronos_api.http.blueprint import Blueprint
from chronos_api.security import access
from chronos_api.security.access import AccessMissing, Audience, Role, Scope
from chronos_api.security.rate_limits import Rate
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage.tables import users
from integration.api.api_settings import settings_for
from integration.api.callers import Caller, document_of, join, register
from integration.api.route_table import (
    BODIES,
    NAMES,
    UNDOCUMENTED,
    WITHOUT_LIMIT,
    Places,
    Route,
    routes,
    send,
    status,
)

REFUSED = {401, 403, 404, 405, 429}


@pytest.fixture(autouse=True)
def _no_worker_and_no_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none, so nothing comes of waiting for the result of a test run.

    The users of this module have no password, and every one is right.
    """
    monkeypatch.setattr("chronos_api.security.password_hashing.matches", lambda *_: True)
    monkeypatch.setattr("chronos_api.adhoc_runs.service._wait_for_result", lambda *_: None)


def failures(found: list[Route], expect: Callable[[Route], str | None]) -> dict[str, str]:
    """Return what is wrong with each route, by its name."""
    return {str(route): fault for route in found if (fault := expect(route))}


def test_every_route_is_documented_and_limited_and_says_who_may_call_it(app: Flask) -> None:
    paths = document_of(app)["paths"]

    def fault(route: Route) -> str | None:
        declared = route.access
        if (declared.rate is Rate.NONE) != (route.rule in WITHOUT_LIMIT):
            return f"has the rate {declared.rate}"
        if (declared.audience is Audience.MEMBERS) != (declared.role is not None):
            return f"is for {declared.audience} with the role {declared.role}"
        operation = paths.get(route.documented, {}).get(route.method.lower())
        if operation is None:
            return None if route.rule in UNDOCUMENTED else "is not in the OpenAPI document"
        if bool(operation["security"]) != (declared.audience is not Audience.EVERYBODY):
            return "does not document who may call it"
        expected = (declared.role, declared.scope)
        if (operation.get("x-role"), operation.get("x-scope")) != expected:
            return "does not document its role and scope"
        return None

    assert failures(list(routes(app)), fault) == {}


def test_every_route_documents_an_answer_that_is_no_error(app: Flask) -> None:
    silent = [
        operation["operationId"]
        for methods in document_of(app)["paths"].values()
        for verb, operation in methods.items()
        if verb != "parameters"
        and not any(status[0] in "123" for status in operation["responses"])
    ]
    assert silent == []


def test_every_body_of_the_table_is_that_of_a_route(app: Flask) -> None:
    known = {(route.method, route.rule) for route in routes(app)}
    assert BODIES.keys() <= known


def test_nobody_gets_in_without_a_token(nobody: Caller, app: Flask) -> None:
    def fault(route: Route) -> str | None:
        places = dict.fromkeys(route.arguments, str(uuid4()))
        answered = status(nobody, route, places)
        return None if answered == 401 else f"answers {answered}"

    private = [each for each in routes(app) if each.access.audience is not Audience.EVERYBODY]
    assert failures(private, fault) == {}


@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_what_it_may_and_no_more(
    caller: Caller, app: Flask, db: Engine, role: Role
) -> None:
    places = Places(caller, db)

    def fault(route: Route) -> str | None:
        member = join(app, db, caller.workspace_id, role)
        answered, problem = send(member, route, places.of(route))
        assert route.access.role is not None
        if not role.includes(route.access.role):
            named = f"'{route.access.role}'" in str(problem.get("detail"))
            return None if answered == 403 and named else f"answers {answered}: {problem}"
        if answered == 422:
            return f"needs a valid body in BODIES: {problem}"
        return f"answers {answered}: {problem}" if answered in REFUSED else None

    assert failures(list(routes(app, Audience.MEMBERS)), fault) == {}


def test_what_belongs_to_others_is_not_found(caller: Caller, app: Flask, db: Engine) -> None:
    places, stranger = Places(caller, db), register(app, db)

    def fault(route: Route) -> str | None:
        own = places.of(route)
        foreign, problem = send(stranger, route, own)
        unknown, other = send(stranger, route, dict.fromkeys(own, str(uuid4())))
        if (foreign, unknown) != (404, 404):
            return f"answers {foreign} for a foreign id, {unknown} for an unknown one: {problem}"
        # Nothing tells a foreign id from one that never was.
        same = problem.get("detail") == other.get("detail")
        return None if same else f"tells them apart: {problem} {other}"

    naming = [each for each in routes(app, Audience.MEMBERS) if each.arguments - NAMES]
    assert failures(naming, fault) == {}


def test_a_name_is_of_the_own_workspace(caller: Caller, stranger: Caller, app: Flask) -> None:
    for route in routes(app, Audience.MEMBERS):
        if route.arguments & NAMES:
            places = {"name": f"Shared-{uuid4()}"}
            assert status(caller, route, places) == status(stranger, route, places) == 201
    assert caller.get("jobs").json["total"] == stranger.get("jobs").json["total"] == 1


def test_no_route_works_in_a_workspace_of_others(
    caller: Caller, stranger: Caller, app: Flask, db: Engine
) -> None:
    places = Places(caller, db)

    def fault(route: Route) -> str | None:
        own = places.of(route)
        answers = [
            send(stranger, route, own, {"X-Workspace": workspace})
            for workspace in (str(caller.workspace_id), str(uuid4()), "none")
        ]
        wrong = [each for each in answers if each[0] != 404]
        details = {str(problem.get("detail")) for _, problem in answers}
        return None if not wrong and len(details) == 1 else f"answers {answers}"

    private = [each for each in routes(app) if each.access.audience is not Audience.EVERYBODY]
    assert failures(private, fault) == {}


def test_an_api_key_needs_the_scope_of_the_route(caller: Caller, app: Flask, db: Engine) -> None:
    places = Places(caller, db)
    keys = {
        scope: (
            key_for(caller, [scope]),
            key_for(caller, [each for each in Scope if each != scope]),
        )
        for scope in Scope
    }
    anything = key_for(caller, list(Scope))

    def fault(route: Route) -> str | None:
        own = places.of(route) if route.access.audience is Audience.MEMBERS else {}
        if route.access.scope is None:
            own = own or dict.fromkeys(route.arguments, str(uuid4()))
            answered = status(anything, route, own)
            return None if answered == 403 else f"answers {answered} to a key"
        with_it, without_it = keys[route.access.scope]
        refused = status(without_it, route, own)
        allowed = status(with_it, route, own)
        if refused != 403 or allowed in REFUSED:
            return f"answers {refused} without the scope and {allowed} with it"
        return None

    private = [each for each in routes(app) if each.access.audience is not Audience.EVERYBODY]
    assert failures(private, fault) == {}


def key_for(owner: Caller, scopes: list[Scope]) -> Caller:
    made = owner.post("keys", {"name": "Matrix", "scopes": scopes})
    assert made.status_code == 201, made.text
    return Caller(owner.app, made.json["key"], owner.user_id, owner.workspace_id)


def test_only_operators_do_what_is_theirs(caller: Caller, app: Flask, db: Engine) -> None:
    operator = register(app, db)
    with db.begin() as connection:
        connection.execute(
            update(users).where(users.c.id == operator.user_id).values(is_operator=True)
        )
    places = Places(caller, db)

    def fault(route: Route) -> str | None:
        own = places.of(route)
        refused, allowed = status(caller, route, own), status(operator, route, own)
        is_right = refused == 403 and allowed in {200, 204}
        return None if is_right else f"answers {refused}, {allowed}"

    assert failures(list(routes(app, Audience.OPERATORS)), fault) == {}


def test_where_it_is_required_only_verified_members_work(
    caller: Caller, db: Engine, servers: Servers
) -> None:
    url = db.url.render_as_string(hide_password=False)
    strict = create_app(settings_for(url, servers.redis_url, require_verified_email=True), db)
    unverified = Caller(strict, caller.token, caller.user_id, caller.workspace_id)

    def fault(route: Route) -> str | None:
        answered, problem = send(unverified, route, dict.fromkeys(route.arguments, str(uuid4())))
        is_told = "not verified" in str(problem.get("detail"))
        return None if answered == 403 and is_told else f"answers {answered}: {problem}"

    assert failures(list(routes(strict, Audience.MEMBERS)), fault) == {}
    assert unverified.get("auth/me").status_code == 200
    with db.begin() as connection:
        connection.execute(
            update(users).where(users.c.id == caller.user_id).values(verified_at=clock.now())
        )
    assert unverified.get("jobs").status_code == 200


def test_a_member_of_nothing_is_told_what_to_do(app: Flask, db: Engine) -> None:
    owner = register(app, db)
    member = join(app, db, owner.workspace_id, "viewer")
    assert member.post("members/leave").status_code == 204
    refused = member.get("jobs")
    assert refused.status_code == 403
    assert "/api/v1/workspaces" in refused.json["detail"]
    me = member.get("auth/me").json
    assert (me["workspace"], me["workspaces"]) == (None, [])
    assert member.post("workspaces", {"name": "Fresh start"}).status_code == 201
    assert member.get("jobs").status_code == 200


def test_lists_show_the_own_workspace_only(app: Flask, db: Engine, caller: Caller) -> None:
    job_id = caller.create()["id"]
    caller.post(f"jobs/{job_id}/execute")
    stranger = register(app, db)
    assert stranger.get("jobs").json["total"] == 0
    assert stranger.get("executions").json["total"] == 0
    assert stranger.get(f"executions?job_id={job_id}").json["items"] == []


def test_an_application_with_a_route_that_declares_no_access_is_not_built(app: Flask) -> None:
    forgetful = Flask("forgetful")
    forgetful.add_url_rule("/secret", view_func=lambda: "everybody sees this")
    with pytest.raises(AccessMissing, match=r"<lambda> declares no access: add @requires"):
        access.check_routes(forgetful)
    access.check_routes(app)


def test_a_route_that_declares_no_access_is_refused_where_it_stands() -> None:
    with pytest.raises(AccessMissing, match=r"test_access\.read_secret declares no access"):

        @Blueprint("forgetful", __name__).route("/secret", "GET")
        def read_secret() -> str:
            return "everybody sees this"

"""Every route of the API, and what a request to it is made of."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from sqlalchemy import Engine

from chronos_api.security import access
from chronos_api.security.access import Access, Audience, Scope
from chronos_common import clock
from chronos_common.storage import bulk_changes
from chronos_common.storage.accounts import deletions, users
from chronos_common.storage.bulk_changes import NewBulkChange
from integration.api.callers import Caller, job, join

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}

INTERVAL = {"schedule_type": "interval", "interval_seconds": 5}
WEBHOOK_AT_NINE = {
    "schedule": "0 9 * * *",
    "type": "WEBHOOK",
    "payload": {"url": "https://example.com/hook"},
}
BY_NOBODY = {"ids": [str(uuid4())]}

PROOF = {"current_password": "wrong password", "code": "123456"}

#: The body of each request that needs one: valid, so that only access decides.
BODIES: dict[tuple[str, str], object] = {
    ("POST", "/api/v1/auth/password"): {
        "current_password": "wrong password",
        "new_password": "another password",
    },
    ("PUT", "/api/v1/auth/me/preferences"): {},
    ("POST", "/api/v1/auth/second-factor"): {"current_password": "wrong password"},
    ("POST", "/api/v1/auth/second-factor/confirm"): {"code": "123456"},
    ("POST", "/api/v1/auth/second-factor/recovery-codes"): PROOF,
    ("POST", "/api/v1/auth/second-factor/disable"): PROOF,
    ("POST", "/api/v1/workspaces"): {"name": "Another"},
    ("POST", "/api/v1/workspace/delete"): {"name": "Not its name", "current_password": "any"},
    ("POST", "/api/v1/auth/me/delete"): {"current_password": "wrong password"},
    ("PATCH", "/api/v1/workspace"): {"name": "Renamed"},
    ("PUT", "/api/v1/admin/workspaces/<uuid:workspace_id>/quotas"): {"jobs": 5},
    ("POST", "/api/v1/workspace/signing-secret/rotate"): {},
    ("PATCH", "/api/v1/members/<uuid:user_id>"): {"role": "editor"},
    ("POST", "/api/v1/invitations"): {"email": "colleague@example.com", "role": "viewer"},
    ("POST", "/api/v1/invitations/accept"): {"token": "no such token"},
    ("POST", "/api/v1/keys"): {"name": "CI", "scopes": ["jobs:read"]},
    ("POST", "/api/v1/jobs"): job(),
    ("PATCH", "/api/v1/jobs/<uuid:job_id>"): {"name": "Changed"},
    ("PUT", "/api/v1/jobs/<uuid:job_id>"): job(),
    ("PUT", "/api/v1/jobs/by-name/<name:name>"): job(name=...),
    ("POST", "/api/v1/jobs/bulk"): {"jobs": [job()]},
    ("POST", "/api/v1/apply"): {"scope": "table", "jobs": [job()], "dry_run": True},
    ("POST", "/api/v1/jobs/bulk/pause"): BY_NOBODY,
    ("POST", "/api/v1/jobs/bulk/resume"): BY_NOBODY,
    ("POST", "/api/v1/jobs/bulk/execute"): BY_NOBODY,
    ("POST", "/api/v1/jobs/bulk/delete"): BY_NOBODY,
    ("POST", "/api/v1/jobs/bulk/tag"): {**BY_NOBODY, "add": ["nightly"]},
    ("POST", "/api/v1/executions/bulk/retry"): {**BY_NOBODY, "dry_run": True},
    ("POST", "/api/v1/executions/bulk/discard"): BY_NOBODY,
    ("POST", "/api/v1/executions/bulk/cancel"): BY_NOBODY,
    ("POST", "/api/v1/jobs/test"): {"payload": {"url": "http://127.0.0.1:9/"}},
    ("POST", "/api/v1/schedules/preview"): INTERVAL,
    ("POST", "/api/jobs"): {**WEBHOOK_AT_NINE, "name": "Ping"},
    ("PUT", "/api/jobs/<uuid:job_id>"): {"name": "Changed"},
    ("POST", "/api/submitJob"): WEBHOOK_AT_NINE,
    ("POST", "/jobs"): {
        "schedule": "0 9 * * *",
        "api": "https://example.com/hook",
        "type": "ATLEAST_ONCE",
    },
}
#: The query of each request that needs one.
QUERIES: dict[tuple[str, str], str] = {
    (
        "GET",
        "/api/v1/upcoming/agenda",
    ): "?since=2030-01-01T00:00:00Z&until=2030-01-02T00:00:00Z",
    ("GET", "/api/v1/jobs/<uuid:job_id>/why"): "?at=2030-01-01T00:00:00Z",
    (
        "GET",
        "/api/v1/jobs/<uuid:job_id>/occurrences",
    ): "?since=2030-01-01T00:00:00Z&until=2030-01-02T00:00:00Z",
}

#: Routes without a limit: probes, scrapes and the documentation.
WITHOUT_LIMIT = {
    "/health",
    "/api/v1/health",
    "/api/v1/ready",
    "/metrics",
    "/",
    "/openapi.json",
    "/docs",
    "/docs/",
    "/docs/page.js",
    "/docs/page.css",
}
#: Routes that are not in the OpenAPI document: they serve it.
UNDOCUMENTED = {"/", "/openapi.json", "/docs", "/docs/", "/docs/page.js", "/docs/page.css"}

#: Pages for people are no operations of the API. ``ui/test_access.py`` asks for each of them.
PAGES = "/ui/"

#: A name means something in each workspace: others' names are free, not foreign.
NAMES = {"name"}


@dataclass(frozen=True)
class Route:
    """A method of a rule, with the access that it declares."""

    method: str
    rule: str
    arguments: frozenset[str]
    access: Access

    def __str__(self) -> str:
        return f"{self.method} {self.rule}"

    @property
    def documented(self) -> str:
        """The path as the OpenAPI document writes it."""
        path = self.rule
        for name in self.arguments:
            for converter in ("uuid", "name", "string", "int"):
                path = path.replace(f"<{converter}:{name}>", f"{{{name}}}")
            path = path.replace(f"<{name}>", f"{{{name}}}")
        return path

    def path(self, places: dict[str, str]) -> str:
        path = self.documented
        for name in self.arguments:
            path = path.replace(f"{{{name}}}", places[name])
        return path + QUERIES.get((self.method, self.rule), "")


def routes(app: Flask, who: Audience | None = None) -> Iterator[Route]:
    """Yield every route of the API, or those for ``who``."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(PAGES):
            continue
        declared = access.access_of(app.view_functions[rule.endpoint])
        if who in {None, declared.audience}:
            for method in sorted(METHODS & (rule.methods or set())):
                yield Route(method, rule.rule, frozenset(rule.arguments), declared)


def status(
    caller: Caller, route: Route, places: dict[str, str], headers: dict[str, str] | None = None
) -> int:
    """Send a request, and return the status alone: an event stream would never end."""
    return send(caller, route, places, headers)[0]


def send(
    caller: Caller, route: Route, places: dict[str, str], headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """Send a request, and return the status, and the problem if it is one."""
    headers = dict(headers or {})
    if caller.token:
        headers.setdefault("Authorization", f"Bearer {caller.token}")
    answer = caller.app.test_client().open(
        route.path(places),
        method=route.method,
        json=BODIES.get((route.method, route.rule)),
        headers=headers,
    )
    with closing(answer):
        is_problem = answer.status_code >= 400
        return answer.status_code, dict(answer.json or {}) if is_problem else {}


class Places:
    """Things of a workspace that routes name, made when they are needed."""

    def __init__(self, owner: Caller, db: Engine) -> None:
        self._owner = owner
        self._db = db
        self._makers: dict[str, Callable[[], str]] = {
            "job_id": self._job,
            "execution_id": lambda: self._made(f"jobs/{self._job()}/execute", None),
            "user_id": lambda: str(join(owner.app, db, owner.workspace_id, "viewer").user_id),
            "invitation_id": lambda: self._made(
                "invitations", {"email": f"{uuid4()}@example.com", "role": "viewer"}
            ),
            "session_id": self._session,
            "key_id": lambda: self._made("keys", {"name": "CI", "scopes": list(Scope)}),
            "replay_id": self._replay,
            "change_id": self._bulk_change,
            "name": lambda: f"Name-{uuid4()}",
            "workspace_id": self._deleted_workspace,
        }

    def of(self, route: Route) -> dict[str, str]:
        """Return fresh things of the workspace for each parameter of the route's path."""
        return {name: self._maker(name, route)() for name in route.arguments}

    def _maker(self, name: str, route: Route) -> Callable[[], str]:
        assert name in self._makers, (
            f"{route} has a parameter '{name}' that this table does not know; "
            "add to Places how one is made."
        )
        return self._makers[name]

    def _deleted_workspace(self) -> str:
        workspace_id = self._made("workspaces", {"name": "Deleted"})
        with self._db.begin() as connection:
            purge_at = clock.now() + timedelta(days=1)
            deletions.mark(connection, UUID(workspace_id), purge_at=purge_at)
        return workspace_id

    def _session(self) -> str:
        assert self._owner.user_id is not None
        now, family_id = clock.now(), uuid4()
        with self._db.begin() as connection:
            users.insert_refresh_token(
                connection,
                uuid4(),
                user_id=self._owner.user_id,
                family_id=family_id,
                now=now,
                expires_at=now + timedelta(days=1),
            )
        return str(family_id)

    def _job(self) -> str:
        return str(self._owner.create()["id"])

    def _replay(self) -> str:
        execution_id = self._made(f"jobs/{self._job()}/execute", None)
        assert self._owner.post(f"executions/{execution_id}/cancel").status_code == 200
        return self._made("executions/bulk/retry", {"ids": [execution_id]})

    def _bulk_change(self) -> str:
        """Store a change that is not due, so that it changes nothing meanwhile."""
        new = NewBulkChange(
            action="pause",
            options={},
            filter=None,
            created_by=self._owner.user_id,
            key_id=None,
        )
        tomorrow = clock.now() + timedelta(days=1)
        with self._db.begin() as connection:
            row = bulk_changes.add(
                connection, self._owner.workspace_id, new, [UUID(self._job())], now=tomorrow
            )
        return str(row["id"])

    def _made(self, path: str, body: object) -> str:
        answer = self._owner.post(path, body)
        assert answer.status_code in {201, 202}, answer.text
        return str(answer.json["id"])

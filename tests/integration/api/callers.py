"""Callers of the API. Each answer is held against the OpenAPI document."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from chronos_api.security import tokens
from chronos_common import clock, ids
from chronos_common.storage.accounts import users

WEBHOOK = {"url": "https://example.com/hook"}
DAILY = {"schedule_type": "cron", "cron_expression": "0 9 * * *"}


def job(**changes: Any) -> dict[str, Any]:
    """Return a job that the API accepts, with ``changes``; ``...`` leaves a field out."""
    fields = {"name": "Ping", "payload": WEBHOOK, **DAILY, **changes}
    return {name: value for name, value in fields.items() if value is not ...}


@dataclass
class Caller:
    """Somebody who sends requests, logged in if there is a token."""

    app: Flask
    token: str | None = None
    user_id: UUID = field(default_factory=uuid4)
    workspace_id: UUID = field(default_factory=uuid4)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.send("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.send("POST", path, json=json, **options)

    def patch(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.send("PATCH", path, json=json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.send("PUT", path, json=json, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.send("DELETE", path, **options)

    def send(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> TestResponse:
        """Send a request to ``path``, below ``/api/v1`` unless it starts with a slash."""
        path = path if path.startswith("/") else f"/api/v1/{path}"
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if options.get("json") is None:
            options.pop("json", None)
        answer = self.app.test_client().open(path, method=method, headers=headers, **options)
        check_answer(self.app, answer)
        return answer

    def create(self, **changes: Any) -> dict[str, Any]:
        """Create a job and return it."""
        answer = self.post("jobs", job(**changes))
        assert answer.status_code == 201, answer.text
        return dict(answer.json or {})

    def me_in(self, role: str, engine: Engine) -> "Caller":
        """Return another user of the same workspace, with ``role``."""
        return join(self.app, engine, self.workspace_id, role)


def register(app: Flask, engine: Engine) -> Caller:
    """Store a user with a workspace of their own, logged in, without hashing a password."""
    workspace_id = ids.new_id(clock.now())
    with engine.begin() as connection:
        users.insert_workspace(
            connection, workspace_id, name="Test", signing_secret="whsec_dGVzdA==", now=clock.now()
        )
    return join(app, engine, workspace_id, "owner")


def join(app: Flask, engine: Engine, workspace_id: UUID, role: str) -> Caller:
    """Store a user who is a member of the workspace with ``role``, logged in."""
    now = clock.now()
    user_id, family_id = ids.new_id(now), ids.new_id(now)
    with engine.begin() as connection:
        users.insert_user(
            connection, user_id, email=f"{user_id}@example.com", password_hash="-", now=now
        )
        users.insert_membership(
            connection, workspace_id=workspace_id, user_id=user_id, role=role, now=now
        )
        users.insert_refresh_token(
            connection,
            ids.new_id(now),
            user_id=user_id,
            family_id=family_id,
            now=now,
            expires_at=now.replace(year=now.year + 1),
        )
    with app.app_context():
        return Caller(app, tokens.access_token(user_id, family_id), user_id, workspace_id)


def check_answer(app: Flask, answer: TestResponse) -> None:
    """Hold an answer against what the OpenAPI document says of its operation."""
    assert answer.status_code != 500, answer.text
    document = document_of(app)
    operation = _operation(app, answer)
    if operation is None:
        return
    documented = operation["responses"].get(str(answer.status_code))
    assert documented, f"{answer.request.method} {answer.request.path}: {answer.status_code}"
    while "$ref" in documented:
        documented = document["components"]["responses"][documented["$ref"].rpartition("/")[2]]
    content = documented.get("content")
    if content is None:
        assert not answer.data
        return
    assert answer.mimetype in content, (answer.mimetype, content)
    if answer.is_json:
        schema = content[answer.mimetype]["schema"] | {"components": document["components"]}
        _validator(app).evolve(schema=schema).validate(answer.json)


@lru_cache(maxsize=8)
def document_of(app: Flask) -> dict[str, Any]:
    """Return the application's OpenAPI document."""
    return dict(app.test_client().get("/openapi.json").json or {})


@lru_cache(maxsize=8)
def _validator(app: Flask) -> Draft202012Validator:
    return Draft202012Validator(document_of(app), format_checker=FormatChecker())


def _operation(app: Flask, answer: TestResponse) -> dict[str, Any] | None:
    with app.test_request_context(answer.request.path, method=answer.request.method) as context:
        rule = context.request.url_rule
    if rule is None:
        return None
    path = re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule)
    found = document_of(app)["paths"].get(path, {}).get(answer.request.method.lower())
    return found if found is None else dict(found)


def errors_of(answer: TestResponse) -> dict[str, str]:
    """Return the message of each field that a 422 names."""
    assert answer.status_code == 422, answer.text
    assert answer.json is not None
    return {each["field"]: each["message"] for each in answer.json["errors"]}

"""Only a workspace with a verified owner sends e-mails where there is a mail server."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select, update

from chronos_api.app import create_app
from chronos_api.workspaces.invitations import MAX_FOR_ADDRESS
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage import tables
from chronos_common.storage.accounts import email_tokens, registrations
from chronos_common.storage.tables import users
from integration.api.api_settings import settings_for
from integration.api.callers import Caller, register

JOB = {
    "name": "mail",
    "type": "email",
    "payload": {"to": "ann@example.com", "subject": "s", "body": "b"},
    "schedule_type": "interval",
    "interval_seconds": 3600,
}
WEBHOOK = {**JOB, "type": "webhook", "payload": {"url": "https://example.com/"}}
NOTIFYING = {**WEBHOOK, "notify": ["a@example.com"]}
RUN = {name: JOB[name] for name in ("type", "payload")}


def _app(db: Engine, servers: Servers, **changes: Any) -> Flask:
    url = db.url.render_as_string(hide_password=False)
    return create_app(settings_for(url, servers.redis_url, **changes), db)


@pytest.fixture
def mailing(db: Engine, servers: Servers) -> Flask:
    """The application with a mail server."""
    return _app(db, servers, smtp_url="smtp://127.0.0.1:9")


def _set_verified(db: Engine, caller: Caller, *, verified: bool) -> None:
    moment = clock.now() if verified else None
    with db.begin() as connection:
        of_caller = users.c.id == caller.user_id
        connection.execute(update(users).where(of_caller).values(verified_at=moment))


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        pytest.param("post", "jobs", JOB, "type", id="job"),
        pytest.param("post", "jobs", NOTIFYING, "notify", id="notify"),
        pytest.param("put", "jobs/by-name/mail", JOB, "type", id="by name"),
        pytest.param("post", "jobs/bulk", {"jobs": [WEBHOOK, JOB]}, "jobs.1.type", id="bulk"),
        pytest.param("post", "jobs/test", RUN, "type", id="test"),
    ],
)
def test_what_sends_mail_is_refused_until_an_owner_is_verified(
    mailing: Flask, db: Engine, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    caller = register(mailing, db)
    _set_verified(db, caller, verified=False)
    refused = getattr(caller, method)(path, body)
    assert refused.status_code == 422, refused.text
    assert "auth/email/resend" in refused.text
    assert field.rpartition(".")[2] in refused.text
    if path != "jobs/test":
        _set_verified(db, caller, verified=True)
        assert getattr(caller, method)(path, body).status_code in {200, 201}


def test_a_job_becomes_no_sender_by_a_change(mailing: Flask, db: Engine) -> None:
    caller = register(mailing, db)
    _set_verified(db, caller, verified=False)
    job = caller.post("jobs", WEBHOOK).json
    assert caller.patch(f"jobs/{job['id']}", {"notify": ["eve@example.com"]}).status_code == 422
    assert caller.patch(f"jobs/{job['id']}", {"notify": []}).status_code == 200


def test_an_invitation_needs_a_verified_owner(mailing: Flask, db: Engine) -> None:
    caller = register(mailing, db)
    _set_verified(db, caller, verified=False)
    refused = caller.post("invitations", {"email": "ann@example.com", "role": "viewer"})
    assert refused.status_code == 403
    assert "auth/email/resend" in refused.json["detail"]


def test_recipients_elsewhere_are_refused_by_field(db: Engine, servers: Servers) -> None:
    caller = register(_app(db, servers, email_recipient_domains=("example.com",)), db)
    payload = {**JOB["payload"], "to": ["a@example.com"], "bcc": ["b@other.example"]}
    for body, field in (
        ({**JOB, "payload": payload}, "payload.bcc.0"),
        ({**WEBHOOK, "notify": ["a@example.com", "b@other.example"]}, "notify.1"),
    ):
        refused = caller.post("jobs", body)
        assert refused.status_code == 422
        assert field in refused.text
        assert "CHRONOS_EMAIL_RECIPIENT_DOMAINS" in refused.text
    refused = caller.post("invitations", {"email": "b@other.example", "role": "viewer"})
    assert refused.status_code == 422


def test_the_invitations_of_a_day_are_bounded_by_the_quota(db: Engine, servers: Servers) -> None:
    caller = register(_app(db, servers, quota_invitations=1), db)
    answers = [
        caller.post("invitations", {"email": f"{n}@example.com", "role": "viewer"})
        for n in range(2)
    ]
    assert answers[0].status_code == 201
    assert "quota invitations" in answers[1].json["detail"]
    assert caller.get("invitations").json["total"] == 1


def test_nobody_is_bombed_with_invitations_from_many_workspaces(app: Flask, db: Engine) -> None:
    owners = [register(app, db) for _ in range(2)]
    victim = f"{owners[0].user_id}.victim@example.com"
    answers = [
        owners[n % 2].post("invitations", {"email": victim.upper(), "role": "viewer"}).status_code
        for n in range(MAX_FOR_ADDRESS + 1)
    ]
    assert answers == [201] * MAX_FOR_ADDRESS + [429]


@pytest.mark.parametrize("asked", ["reset", "registration"])
def test_nobody_is_bombed_with_emails_about_accounts(
    caller: Caller, db: Engine, asked: str
) -> None:
    address, now = f"{caller.user_id}@example.com", clock.now()
    for number in range(email_tokens.MAX_PER_DAY + 3):
        at = now + number * 2 * email_tokens.PAUSE
        expires_at = at + timedelta(hours=1)
        with db.begin() as connection:
            if asked == "reset":
                purpose = email_tokens.Purpose.PASSWORD_RESET
                email_tokens.request(
                    connection, uuid4(), purpose, address, expires_at=expires_at, now=at
                )
            else:
                registrations.request(
                    connection,
                    uuid4(),
                    email=address.upper(),
                    password_hash="-",
                    expires_at=expires_at,
                    now=at,
                )
    tokens = select(func.count()).where(tables.email_tokens.c.user_id == caller.user_id)
    asking = select(func.count()).where(tables.registrations.c.email == address.upper())
    with db.connect() as connection:
        stored = connection.execute(tokens if asked == "reset" else asking).scalar_one()
    assert stored == email_tokens.MAX_PER_DAY

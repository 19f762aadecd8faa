"""A second factor: set up, asked for at every login, and lost."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import Engine, select, text, update
from werkzeug.test import TestResponse

from chronos_api.accounts.command import admin
from chronos_api.second_factor import totp
from chronos_api.security import lockouts
from chronos_common import clock
from chronos_common.storage.tables import audit_log, second_factors, users
from integration.api.callers import Caller, register
from integration.api.inbox import Inbox
from integration.api.ui.pages import Browser, Page

PASSWORD = "SecurePass123!"
ANOTHER = "another long password"


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare passwords without the tenth of a second that argon2 takes."""
    monkeypatch.setattr(
        "chronos_api.security.password_hashing.matches", lambda given, stored: given == stored
    )
    monkeypatch.setattr("chronos_api.security.password_hashing.hash_of", str)


@dataclass(frozen=True)
class Owner:
    """Somebody with an account, and with an application that has its secret."""

    caller: Caller
    email: str
    secret: bytes = b""
    recovery_codes: tuple[str, ...] = ()

    def code(self, *, steps_ahead: int = 0) -> str:
        return totp.code_at(self.secret, totp.step_of(clock.now()) + steps_ahead)

    def log_in(self, code: str | None = None, *, password: str = PASSWORD) -> TestResponse:
        body = {"email": self.email, "password": password}
        body |= {} if code is None else {"code": code}
        return Caller(self.caller.app).post("auth/login", body)

    def proof(self, code: str) -> dict[str, str]:
        return {"current_password": PASSWORD, "code": code}


@pytest.fixture
def owner(nobody: Caller) -> Owner:
    email = f"{uuid4()}@example.com"
    made = nobody.post("auth/register", {"email": email, "password": PASSWORD})
    assert made.status_code == 201, made.text
    user_id = UUID(made.json["user"]["id"])
    return Owner(Caller(nobody.app, made.json["access_token"], user_id), email)


@pytest.fixture
def protected(owner: Owner, db: Engine) -> Owner:
    """An owner whose second factor is on, and has not been used yet."""
    body = {"current_password": PASSWORD}
    secret = base64.b32decode(owner.caller.post("auth/second-factor", body).json["secret"])
    ready = replace(owner, secret=secret)
    answer = owner.caller.post("auth/second-factor/confirm", {"code": ready.code()})
    assert answer.status_code == 200, answer.text
    forget_used_codes(db, ready)
    return replace(ready, recovery_codes=tuple(answer.json["recovery_codes"]))


def forget_used_codes(db: Engine, owner: Owner) -> None:
    """Let the present code serve again, as if half a minute had passed."""
    with db.begin() as connection:
        where = second_factors.c.user_id == owner.caller.user_id
        connection.execute(update(second_factors).where(where).values(last_step=0))


def actions(db: Engine, owner: Owner) -> list[str]:
    query = select(audit_log.c.action).where(audit_log.c.subject_id == owner.caller.user_id)
    with db.connect() as connection:
        return list(connection.execute(query.order_by(audit_log.c.id)).scalars())


def test_a_second_factor_counts_once_it_is_confirmed(owner: Owner, db: Engine) -> None:
    elsewhere = Caller(owner.caller.app, owner.log_in().json["access_token"])
    body = {"current_password": PASSWORD}
    first = owner.caller.post("auth/second-factor", body)
    made = owner.caller.post("auth/second-factor", body)
    assert (made.status_code, made.json["secret"] == first.json["secret"]) == (201, False)
    assert f"secret={made.json['secret']}&" in made.json["otpauth_uri"]
    assert owner.log_in().status_code == 200
    assert owner.caller.get("auth/second-factor").json["enabled"] is False
    assert owner.caller.post("auth/second-factor/confirm", {"code": "000000"}).status_code == 401
    ready = replace(owner, secret=base64.b32decode(made.json["secret"]))
    confirmed = owner.caller.post("auth/second-factor/confirm", {"code": ready.code()})
    codes = confirmed.json["recovery_codes"]
    assert (confirmed.status_code, len(set(codes))) == (200, 10)
    state = owner.caller.get("auth/second-factor").json
    assert (state["enabled"], state["recovery_codes_left"]) == (True, 10)
    assert elsewhere.get("auth/me").status_code == 401
    refused = owner.log_in()
    assert refused.status_code == 401
    assert refused.json["type"].endswith("second-factor-required")
    assert "user.enable_second_factor" in actions(db, owner)
    assert owner.caller.post("auth/second-factor", body).status_code == 409
    again = {"code": ready.code(steps_ahead=1)}
    assert owner.caller.post("auth/second-factor/confirm", again).status_code == 409


def test_neither_secret_nor_recovery_code_is_in_the_database(protected: Owner, db: Engine) -> None:
    with db.connect() as connection:
        stored = str(connection.execute(select(second_factors)).mappings().all())
        stored += str(connection.execute(select(audit_log.c.details)).all())
    secret = base64.b32encode(protected.secret).decode()
    for each in (secret, protected.secret.hex(), str(protected.secret)[2:-1]):
        assert each not in stored
    for code in protected.recovery_codes:
        assert code not in stored
        assert code.replace("-", "") not in stored


def test_a_code_serves_once_and_a_later_one_after_it(protected: Owner) -> None:
    code = protected.code()
    assert protected.log_in(code).status_code == 200
    assert protected.log_in(code).status_code == 401
    assert protected.log_in(protected.code(steps_ahead=1)).status_code == 200
    # The one before is in time, and a later one was used.
    assert protected.log_in(code).status_code == 401


def test_of_logins_side_by_side_with_one_code_one_passes(protected: Owner) -> None:
    code = protected.code(steps_ahead=1)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: protected.log_in(code), range(4)))
    assert [answer.status_code for answer in answers].count(200) == 1


def test_a_recovery_code_serves_once_however_it_is_typed(protected: Owner, db: Engine) -> None:
    code = protected.recovery_codes[3]
    assert protected.log_in(f" {code.upper().replace('-', ' ')} ").status_code == 200
    assert protected.log_in(code).status_code == 401
    assert protected.caller.get("auth/second-factor").json["recovery_codes_left"] == 9
    with db.connect() as connection:
        query = select(audit_log.c.details).where(
            audit_log.c.subject_id == protected.caller.user_id,
            audit_log.c.action == "user.login",
        )
        assert {"second_factor": "recovery code"} in connection.execute(query).scalars().all()


def test_new_recovery_codes_end_the_earlier_ones(protected: Owner) -> None:
    path = "auth/second-factor/recovery-codes"
    answer = protected.caller.post(path, protected.proof(protected.recovery_codes[0]))
    assert len(answer.json["recovery_codes"]) == 10
    assert protected.log_in(protected.recovery_codes[1]).status_code == 401
    assert protected.log_in(answer.json["recovery_codes"][1]).status_code == 200


def test_a_right_code_does_not_help_a_wrong_password(protected: Owner) -> None:
    refused = protected.log_in(protected.code(), password="wrong")
    assert refused.json["type"].endswith("unauthenticated")
    assert protected.log_in(protected.code()).status_code == 200


def test_guessed_codes_lock_as_guessed_passwords_do(protected: Owner, db: Engine) -> None:
    wrong = [protected.log_in("000000").status_code for _ in range(lockouts.FREE_FAILURES)]
    assert wrong == [401] * lockouts.FREE_FAILURES
    assert protected.log_in(protected.code()).status_code == 429
    assert "user.login_failed" in actions(db, protected)


def test_a_missing_code_is_no_failure(protected: Owner) -> None:
    for _ in range(lockouts.FREE_FAILURES + 1):
        assert protected.log_in().json["type"].endswith("second-factor-required")
    assert protected.log_in(protected.code()).status_code == 200


@pytest.mark.parametrize("path", ["disable", "recovery-codes"])
def test_a_change_needs_the_password_and_a_code(protected: Owner, path: str) -> None:
    change = f"auth/second-factor/{path}"
    for proof in (
        {"current_password": "wrong", "code": protected.code()},
        {"current_password": PASSWORD, "code": "000000"},
    ):
        assert protected.caller.post(change, proof).status_code == 401
    missing = protected.caller.post(change, {"current_password": PASSWORD})
    assert missing.status_code == 422
    assert protected.caller.get("auth/second-factor").json["recovery_codes_left"] == 10


def test_it_is_turned_off_and_the_password_suffices(protected: Owner, db: Engine) -> None:
    proof = protected.proof(protected.code())
    assert protected.caller.post("auth/second-factor/disable", proof).status_code == 204
    assert protected.log_in().status_code == 200
    assert "user.disable_second_factor" in actions(db, protected)
    assert protected.caller.post("auth/second-factor/disable", proof).status_code == 409


def test_a_new_password_by_mail_does_not_turn_it_off(
    protected: Owner, inbox: Inbox, nobody: Caller
) -> None:
    nobody.post("auth/password/forgot", {"email": protected.email})
    token = inbox.token_of(protected.email)
    body = {"token": token, "password": ANOTHER}
    assert nobody.post("auth/password/reset", body).status_code == 204
    refused = protected.log_in(password=ANOTHER)
    assert refused.json["type"].endswith("second-factor-required")
    assert protected.log_in(protected.code(), password=ANOTHER).status_code == 200


def test_tokens_and_api_keys_go_on_without_a_code(protected: Owner) -> None:
    login = protected.log_in(protected.code()).json
    caller = Caller(protected.caller.app, login["access_token"])
    key = caller.post("keys", {"name": "CI", "scopes": ["jobs:read"]}).json["key"]
    assert Caller(caller.app, key).get("jobs").status_code == 200
    body = {"refresh_token": login["refresh_token"]}
    assert Caller(caller.app).post("auth/refresh", body).status_code == 200


@pytest.fixture
def operator(app: Flask, db: Engine) -> Caller:
    made = register(app, db)
    with db.begin() as connection:
        where = users.c.id == made.user_id
        connection.execute(update(users).where(where).values(is_operator=True))
    return made


def _by_api(operator: Caller, owner: Owner, _: Engine) -> bool:
    path = f"admin/accounts/{owner.caller.user_id}/second-factor/reset"
    return operator.post(path).status_code == 204


def _by_command(_: Caller, owner: Owner, db: Engine) -> bool:
    url = db.url.render_as_string(hide_password=False)
    result = CliRunner().invoke(
        admin, ["reset-second-factor", owner.email], env={"CHRONOS_DATABASE_URL": url}
    )
    return result.exit_code == 0


@pytest.mark.parametrize("reset", [_by_api, _by_command])
def test_the_operator_helps_who_has_lost_every_code(
    protected: Owner,
    operator: Caller,
    db: Engine,
    reset: Callable[[Caller, Owner, Engine], bool],
) -> None:
    assert reset(operator, protected, db)
    assert protected.log_in().status_code == 200
    assert reset(operator, protected, db)
    assert actions(db, protected).count("account.reset_second_factor") == 1


def test_only_an_operator_resets_it(protected: Owner, stranger: Caller) -> None:
    path = f"admin/accounts/{protected.caller.user_id}/second-factor/reset"
    assert stranger.post(path).status_code == 403


def test_it_goes_with_its_account(protected: Owner, db: Engine) -> None:
    protected.caller.post("auth/me/delete", {"current_password": PASSWORD})
    with db.connect() as connection:
        query = text("SELECT count(*) FROM second_factors WHERE user_id = :id")
        assert connection.execute(query, {"id": protected.caller.user_id}).scalar_one() == 0


def test_a_browser_without_scripts_sets_it_up_logs_in_and_turns_it_off(
    app: Flask, owner: Owner, db: Engine
) -> None:
    browser = Browser(app, owner.caller)
    form = browser.get("/ui/account/second-factor").form("/second-factor")
    assert browser.submit(form, current_password="wrong").status_code == 401
    page = Page(browser.submit(form, current_password=PASSWORD))
    assert page.headers["Cache-Control"] == "no-store"
    [address] = [link for link in page.links() if link.startswith("otpauth:")]
    secret = base64.b32decode(address.partition("secret=")[2].partition("&")[0])
    ready = replace(owner, secret=secret)
    wrong = browser.submit(page.form("/confirm"), code="000000")
    assert wrong.status_code == 401
    page = Page(browser.submit(Page(wrong).form("/confirm"), code=ready.code()))
    assert (page.status, page.html.count("<li><code>")) == (200, 10)
    forget_used_codes(db, ready)
    phone = Browser(app)
    answer = phone.submit(
        phone.get("/ui/login").form("/login"), email=owner.email, password=PASSWORD
    )
    page = Page(answer)
    assert (answer.status_code, "Code needed" in page.text) == (401, True)
    assert PASSWORD not in page.html
    wrong = phone.submit(page.form("/login"), password=PASSWORD, code="000000")
    form = Page(wrong).form("/login")
    assert phone.submit(form, password=PASSWORD, code=ready.code()).status_code == 303
    assert owner.email in phone.get("/ui/account").text
    forget_used_codes(db, ready)
    page = phone.get("/ui/account/second-factor")
    answer = phone.submit(page.form("/disable"), current_password=PASSWORD, code=ready.code())
    assert "The second factor is off" in Page(answer).text

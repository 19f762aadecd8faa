"""The documentation's page, in a real browser against a real server."""

import base64
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from playwright.sync_api import Page
from sqlalchemy import Engine, update

from child_processes import inherited_environment
from chronos_api.app import create_app
from chronos_api.second_factor import totp
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage.postgres.database import connect
from chronos_common.storage.tables import second_factors, users
from integration.api.api_process import SECRET_KEY, Server
from integration.api.api_settings import settings_for
from integration.api.browsers import browsing
from integration.api.callers import Caller, register
from integration.api.inbox import Inbox
from integration.api.route_table import Places, Route, routes
from rigs import wait_until

EMAIL, PASSWORD = "user@example.com", "SecurePass123!"
#: Nobody works and nobody schedules in these tests.
WITHOUT_WORKERS = {"run_test": 504, "get_readiness": 503}


@pytest.fixture(scope="module")
def url(new_database: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """A database in which nobody has an account yet."""
    with new_database() as made:
        yield made


@pytest.fixture(scope="module")
def own_db(url: str) -> Iterator[Engine]:
    engine = connect(url, name="test-docs", pool_size=4)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def own_app(url: str, own_db: Engine, servers: Servers) -> Flask:
    """An application beside the server, to prepare what the examples name."""
    return create_app(settings_for(url, servers.redis_url), own_db)


@pytest.fixture(scope="module")
def server(
    url: str, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    settings = {
        "CHRONOS_DATABASE_URL": url,
        "CHRONOS_REDIS_URL": servers.redis_url,
        "CHRONOS_SECRET_KEY": SECRET_KEY,
        "CHRONOS_API_WORKERS": "1",
        "CHRONOS_RATE_LIMIT": "1000000 per minute",
        "CHRONOS_LOGIN_RATE_LIMIT": "1000000 per minute",
        "CHRONOS_SMTP_URL": "smtp://127.0.0.1:9",
    }
    running = Server(
        inherited_environment() | settings, tmp_path_factory.mktemp("docs") / "api.log"
    )
    try:
        wait_until(running.is_up, within=60)
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def opened(page: Page, server: Server, address: str = "/docs") -> None:
    page.goto(f"{server.url}{address}")
    page.wait_for_selector("#problems", state="attached")


SIZES = [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")]


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_the_page_fits_a_phone_and_a_desk_in_light_and_dark(
    server: Server, width: int, scheme: Any
) -> None:
    with browsing(width=width, color_scheme=scheme) as page:
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        opened(page, server)
        for each in page.locator("#create_job details").all():
            each.locator("summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        wide = f"(each) => each.getBoundingClientRect().right > {width}"
        found = f"[...document.querySelectorAll('article, table')].filter({wide}).length"
        assert page.evaluate(found) == 0
        # On a phone the list of operations would fill the screen: it opens by a touch.
        assert page.locator("#menu").get_attribute("open") == (None if width < 800 else "")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
        assert faults == []


def test_the_page_shows_what_a_payload_may_hold(server: Server) -> None:
    with browsing() as page:
        opened(page, server)
        for operation in ("create_job", "run_test"):
            shown = page.locator(f"#{operation}").text_content() or ""
            for field in ("payload.url", "payload.subject", "payload.kwargs"):
                assert field in shown


def test_the_filter_leaves_what_was_asked_for(server: Server) -> None:
    with browsing(width=390) as page:
        opened(page, server)
        page.fill("#filter", "signing-secret")
        assert page.locator("#index a:visible").count() == 2
        assert page.locator("#index section:visible").count() == 1
        page.locator("#index a:visible").first.click()
        assert page.locator("#index a:visible").count() == 0


def test_an_example_is_copied_and_an_answer_is_shown(server: Server) -> None:
    with browsing() as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        opened(page, server)
        operation = page.locator("#get_job")
        operation.get_by_role("button", name="Copy").click()
        operation.get_by_role("button", name="Copied").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert f'curl -X GET "{server.url}/api/v1/jobs/$JOB_ID"' in copied
        operation.locator("summary", has_text="200").click()
        assert '"schedule_description"' in (operation.text_content() or "")


def test_other_addresses_lead_to_the_page(server: Server) -> None:
    for address in ("/", "/docs/"):
        answer = requests.get(server.url + address, timeout=10)
        assert (answer.status_code, answer.url) == (200, f"{server.url}/docs")


class Reader:
    """Somebody who copies the examples of the page into a shell, in the order of the page."""

    def __init__(self, server: Server, app: Flask, db: Engine, folder: Path) -> None:
        self._server, self._app, self._db = server, app, db
        self._folder = folder
        self._password = PASSWORD
        self._secret: bytes | None = None

    def run(self, operation: str, example: str, route: Route) -> int:
        """Return the status that the example is answered with."""
        result = subprocess.run(
            # The head of the answer is enough: an event stream has no end.
            ["bash", "-c", f"{example} -sS -i --max-time 60 | head -n 1"],
            env={"PATH": os.environ["PATH"], **self._variables(operation, route)},  # noqa: TID251 - the child's
            capture_output=True,
            text=True,
            check=False,
        )
        matched = re.match(r"HTTP/1.1 (\d{3}) ", result.stdout)
        assert matched, (operation, example, result.stdout, result.stderr)
        if operation == "register_account":
            self._confirm_registration()
        if operation == "change_password":
            (self._password,) = re.findall(r'"new_password": "([^"]*)"', example)
        if operation == "disable_second_factor":
            self._secret = None
        return int(matched[1])

    def _confirm_registration(self) -> None:
        folder = self._folder / "registration"
        folder.mkdir()
        token = {"token": Inbox(self._db, folder).token_of(EMAIL)}
        verify = f"{self._server.url}/api/v1/auth/email/verify"
        assert requests.post(verify, json=token, timeout=30).ok

    def _variables(self, operation: str, route: Route) -> dict[str, str]:
        """Return what the reader knows: tokens, and ids of things that they made."""
        if operation in {"register_account", "log_in", "request_password_reset"}:
            return {}
        if route.documented.startswith("/api/v1/auth/"):
            return self._own_account(operation)
        if operation == "delete_workspace":
            own = self._own_account(operation)
            Caller(self._app, own["TOKEN"]).patch("workspace", {"name": "Old project"})
            return own
        owner = register(self._app, self._db)
        with self._db.begin() as connection:
            query = update(users).where(users.c.id == owner.user_id)
            connection.execute(query.values(is_operator=True, verified_at=clock.now()))
        places = Places(owner, self._db).of(route)
        if operation == "retry_execution":
            owner.post(f"executions/{places['execution_id']}/cancel")
        if operation == "restore_job":
            owner.delete(f"jobs/{places['job_id']}")
        known = {name.upper(): value for name, value in places.items()}
        if operation == "leave_workspace":
            owner = owner.me_in("viewer", self._db)
        if operation == "accept_invitation":
            owner.post("invitations", {"email": EMAIL, "role": "viewer"})
            return self._own_account(operation)
        return known | {"TOKEN": str(owner.token)}

    def _own_account(self, operation: str) -> dict[str, str]:
        """Return the tokens of a new login with the account that the first example made."""
        login = {"email": EMAIL, "password": self._password}
        if self._secret is not None:
            login["code"] = self._code()
        tokens = requests.post(
            f"{self._server.url}/api/v1/auth/login", json=login, timeout=30
        ).json()
        known = {
            "TOKEN": tokens["access_token"],
            "REFRESH_TOKEN": tokens["refresh_token"],
            "PASSWORD": self._password,
        }
        if operation == "confirm_second_factor":
            body = {"current_password": self._password}
            made = Caller(self._app, tokens["access_token"]).post("auth/second-factor", body)
            self._secret = base64.b32decode(made.json["secret"])
        if self._secret is not None:
            known["CODE"] = self._code()
        if operation == "poll_device_login":
            wish = {"name": "CLI", "scopes": ["jobs:read"]}
            known["DEVICE_CODE"] = Caller(self._app).post("auth/device", wish).json["device_code"]
        if operation == "end_session":
            own = Caller(self._app, tokens["access_token"]).get("auth/sessions")
            known["SESSION_ID"] = own.json["items"][0]["id"]
        # Each looks at the mail that came since the one before.
        folder = self._folder / operation
        folder.mkdir()
        inbox = Inbox(self._db, folder)
        inbox.collect()
        if operation in {"reset_password", "accept_invitation"}:
            known["EMAIL_TOKEN"] = inbox.token_of(EMAIL)
        elif operation == "verify_email":
            # The reset has verified the address of the first account.
            another = {"email": "another@example.com", "password": PASSWORD}
            made = f"{self._server.url}/api/v1/auth/register"
            assert requests.post(made, json=another, timeout=30).ok
            known["EMAIL_TOKEN"] = inbox.token_of(another["email"])
        return known

    def _code(self) -> str:
        """Return a code of the second factor, as if none had served before."""
        assert self._secret is not None
        with self._db.begin() as connection:
            connection.execute(update(second_factors).values(last_step=0))
        return totp.code_at(self._secret, totp.step_of(clock.now()))


EXAMPLES = """[...document.querySelectorAll('article')].map(
    (each) => [each.id, each.querySelector('.copyable pre').textContent])"""


@pytest.mark.timeout(500)  # it runs each of them, one after the other
def test_every_example_of_the_page_works_when_it_is_copied(
    server: Server, own_app: Flask, own_db: Engine, tmp_path: Path
) -> None:
    with browsing() as page:
        opened(page, server)
        examples: list[tuple[str, str]] = page.evaluate(EXAMPLES)
    paths = requests.get(f"{server.url}/openapi.json", timeout=10).json()["paths"]
    by_operation = {
        operation["operationId"]: (path, method)
        for path, item in paths.items()
        for method, operation in item.items()
        if method != "parameters"
    }
    known = {(each.documented, each.method.lower()): each for each in routes(own_app)}
    reader = Reader(server, own_app, own_db, tmp_path)
    answered = {
        operation: reader.run(operation, example, known[by_operation[operation]])
        for operation, example in examples
    }
    assert answered.keys() == by_operation.keys()
    wrong = {
        operation: status
        for operation, status in answered.items()
        if status >= 300 and status != WITHOUT_WORKERS.get(operation)
    }
    assert wrong == {}, [each for each in examples if each[0] in wrong]

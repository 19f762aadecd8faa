"""A browser without scripts: it keeps cookies, follows links, and sends the forms of pages."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy import Engine, update
from werkzeug.test import TestResponse

from chronos_api.security import tokens
from chronos_common.storage.tables import executions
from integration.api.callers import Caller
from integration.api.rows import in_seconds, plan

_VOID = {"meta", "link", "input", "br", "img", "hr"}


@dataclass
class Form:
    """A form of a page: where it goes, and its fields as a browser would send them."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    """The elements of a page, each with its attributes, its text and its forms."""

    def __init__(self, answer: TestResponse) -> None:
        super().__init__()
        self.status = answer.status_code
        self.headers = answer.headers
        self.html = answer.text
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.forms: list[Form] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self._select: str | None = None
        self._textarea: str | None = None
        self.feed(self.html)
        assert self.open == [], f"{self.open} are not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs), f"{tag} has an attribute twice: {attrs}"
        self.elements.append((tag, given))
        if tag not in _VOID:
            self.open.append(tag)
        # A form that only closes its dialog sends nothing.
        if tag == "form" and given.get("method") != "dialog":
            self.forms.append(Form(given["action"], given.get("method", "get")))
        elif self.forms and "form" in self.open:
            self._field(tag, given)

    def _field(self, tag: str, given: dict[str, str]) -> None:
        fields = self.forms[-1].fields
        is_chosen = given.get("type") not in {"radio", "checkbox"} or "checked" in given
        if tag == "input" and "name" in given and is_chosen:
            fields[given["name"]] = given.get("value", "")
        elif tag == "select":
            self._select = given["name"]
        elif tag == "option" and self._select:
            if "selected" in given or self._select not in fields:
                fields[self._select] = given.get("value", "")
        elif tag == "textarea":
            self._textarea = given["name"]
            fields[self._textarea] = ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"
        if tag == "select":
            self._select = None
        if tag == "textarea":
            self._textarea = None

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._textarea:
            self.forms[-1].fields[self._textarea] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [given for name, given in self.elements if name == tag]

    def links(self) -> list[str]:
        return [given["href"] for given in self.all("a") if "href" in given]

    def form(self, end: str) -> Form:
        """Return the form whose action ends so."""
        found = [each for each in self.forms if urlsplit(each.action).path.endswith(end)]
        assert found, f"no form goes to {end}: {[each.action for each in self.forms]}"
        return found[0]


class Browser:
    """A browser, which has logged in if it is given a caller."""

    def __init__(self, app: Flask, caller: Caller | None = None) -> None:
        self.client = app.test_client()
        if caller is not None and caller.token is not None:
            with app.app_context():
                claims = tokens.read(caller.token, tokens.ACCESS)
                session = tokens.session_token(claims.user_id, claims.family_id, csrf="csrf-token")
            self.client.set_cookie("chronos", session)

    def get(self, path: str, **options: Any) -> Page:
        return Page(self.client.get(path, **options))

    def submit(self, form: Form, **changes: str) -> TestResponse:
        """Send a form with some fields changed, as a browser does."""
        fields = {name: value for name, value in (form.fields | changes).items() if value != ...}
        return self.client.open(
            form.action,
            method=form.method.upper(),
            data=fields,
            headers={"Sec-Fetch-Site": "same-origin"},
        )

    def follow(self, answer: TestResponse) -> Page:
        if answer.status_code != 303:
            raise AssertionError(Page(answer).text)
        return self.get(answer.headers["Location"])


def failed(
    db: Engine,
    caller: Caller,
    job_id: str,
    error: str = "The target answered 503.",
    *,
    minutes_ago: int = 1,
    job_version: int | None = None,
) -> str:
    """Store an execution of the job that failed some minutes ago, and return its id."""
    at = in_seconds(-60 * minutes_ago)
    (execution_id,) = plan(db, caller, job_id, [at])
    attempt = {
        "number": 1,
        "status": "failed",
        "started_at": at.isoformat(),
        "duration_ms": 88,
        "http_status": 503,
        "error": error,
        "request": {"method": "POST", "url": "https://example.com/", "headers": {"X-Text": error}},
        "response": {"status": 503, "headers": {"X-Text": error}, "body": error},
        "job_version": job_version,
        "timing_ms": {"dns": 2, "connect": 13, "tls": 37, "first_byte": 80, "total": 88},
    }
    with db.begin() as connection:
        connection.execute(
            update(executions)
            .where(executions.c.id == execution_id)
            .values(
                status="failed",
                started_at=at,
                finished_at=at,
                duration_ms=88,
                http_status=503,
                error=error,
                attempts=[attempt],
            )
        )
    return str(execution_id)

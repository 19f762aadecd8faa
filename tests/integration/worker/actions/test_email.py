"""E-mails through a real SMTP server, through one that misbehaves, and into a folder."""

import socket
import ssl
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

import mail_servers
import specimens
from chronos_common.domain.executions import Attempt
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_common.domain.payloads import Email
from chronos_common.errors import Invalid
from chronos_worker.actions import email
from chronos_worker.emails import mailer
from chronos_worker.emails import message as messages
from chronos_worker.emails.mailer import Mailer
from loopback import CERTIFICATE
from mail_servers import MailServer
from targets import Target, hang

SENDER = "Chronos <chronos@example.com>"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_servers.serving() as server:
        yield server


def _mailer(url: str = "", folder: Path = Path("/nowhere"), sender: str = SENDER) -> Mailer:
    settings: Any = SimpleNamespace(
        smtp_url=url,
        mail_from=sender,
        mail_dir=folder,
        email_recipient_domains=(),
    )
    return Mailer(settings)


def _perform(
    mailer: Mailer, *, timeout_seconds: float = 5, **payload: Any
) -> tuple[Outcome, Attempt]:
    payload = {"to": ["ann@example.com"], "subject": "Report", "body": "Done.", **payload}
    job = specimens.job(payload, "email", timeout_seconds=timeout_seconds)
    return email.perform(specimens.claimed(job), job, mailer=mailer)


def test_a_message_arrives_as_it_was_written(server: MailServer) -> None:
    outcome, attempt = _perform(
        _mailer(server.url),
        to=["ann@example.com", "bob@example.com"],
        cc=["cy@example.com"],
        reply_to="desk@example.com",
        subject="Bericht für Zoë ☃ " + "lang " * 40,
        body="Grüße\n.\nEnde",
        html="<p>Grüße</p>",
    )
    assert outcome == Succeeded()
    (message,) = server.messages
    assert message["From"] == SENDER
    assert message["To"] == "ann@example.com, bob@example.com"
    assert message["Cc"] == "cy@example.com"
    assert message["Reply-To"] == "desk@example.com"
    assert message["Subject"] == "Bericht für Zoë ☃ " + "lang " * 40
    plain, html = message.iter_parts()
    assert plain.get_content().split() == ["Grüße", ".", "Ende"]  # type: ignore[attr-defined]
    assert html.get_content().strip() == "<p>Grüße</p>"  # type: ignore[attr-defined]
    assert server.envelopes == [
        ("chronos@example.com", ["ann@example.com", "bob@example.com", "cy@example.com"])
    ]
    assert attempt.response
    assert attempt.response["refused"] == {}


def test_html_alone_is_sent_as_html(server: MailServer) -> None:
    _perform(_mailer(server.url), body="", html="<p>x</p>")
    assert server.messages[0].get_content_type() == "text/html"


def test_every_attempt_of_an_execution_carries_the_same_id(server: MailServer) -> None:
    job = specimens.job({"to": ["ann@example.com"], "subject": "s"}, "email")
    execution = specimens.claimed(job)
    for _ in range(2):
        email.perform(execution, job, mailer=_mailer(server.url))
    first, second = server.messages
    assert first["Message-ID"] == second["Message-ID"] == f"<{execution.id}@chronos>"
    assert first["X-Chronos-Execution-Id"] == str(execution.id)
    assert first["X-Chronos-Job-Id"] == str(job.id)
    assert first["Auto-Submitted"] == "auto-generated"
    assert abs(parsedate_to_datetime(first["Date"]).timestamp() - time.time()) < 60


def test_when_some_recipients_are_refused_the_others_get_it_once(server: MailServer) -> None:
    server.replies["bob@example.com"] = "451 Come back later"
    outcome, attempt = _perform(_mailer(server.url), to=["ann@example.com", "bob@example.com"])
    assert outcome == Failed(
        "The mail server refused bob@example.com (451 Come back later). "
        "These have the message: ann@example.com.",
    )
    assert len(server.messages) == 1
    assert attempt.response
    assert attempt.response["accepted"] == ["ann@example.com"]
    assert attempt.response["refused"] == {"bob@example.com": "451 Come back later"}


@pytest.mark.parametrize(
    ("reply", "permanent"),
    [("550 No such user", True), ("451 Greylisted", False)],
)
def test_when_all_recipients_are_refused_the_code_tells_whether_for_good(
    server: MailServer, reply: str, *, permanent: bool
) -> None:
    server.replies["ann@example.com"] = reply
    outcome, _ = _perform(_mailer(server.url))
    assert outcome == Failed(
        f"The mail server refused ann@example.com ({reply}).", permanent=permanent
    )


def test_one_recipient_that_may_be_accepted_later_is_worth_another_attempt(
    server: MailServer,
) -> None:
    server.replies |= {"ann@example.com": "550 No such user", "bob@example.com": "451 Greylisted"}
    outcome, _ = _perform(_mailer(server.url), to=["ann@example.com", "bob@example.com"])
    assert isinstance(outcome, Failed)
    assert not outcome.permanent


@pytest.mark.parametrize("step", ["MAIL", "DATA"])
@pytest.mark.parametrize(
    ("reply", "permanent"), [("554 Looks like spam", True), ("452 No space left", False)]
)
def test_a_refused_message_is_permanent_by_its_code(
    server: MailServer, step: str, reply: str, *, permanent: bool
) -> None:
    server.replies[step] = reply
    outcome, attempt = _perform(_mailer(server.url))
    assert outcome == Failed(f"The mail server refused the message: {reply}.", permanent=permanent)
    assert attempt.response is None
    assert attempt.request
    assert attempt.request["to"] == ["ann@example.com"]


def test_no_server_is_worth_another_attempt() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome, _ = _perform(_mailer(f"smtp://127.0.0.1:{port}"))
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert f"127.0.0.1:{port}" in outcome.error


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_server_that_says_nothing_is_left_after_the_jobs_timeout(scheme: str) -> None:
    silent = Target()
    silent.answer = hang
    silent.start()
    try:
        started = time.monotonic()
        outcome, _ = _perform(_mailer(f"{scheme}://127.0.0.1:{silent.port}"), timeout_seconds=0.3)
        assert 0.3 <= time.monotonic() - started < 5
        assert isinstance(outcome, Failed)
        assert not outcome.permanent
    finally:
        silent.close()


def test_a_login_is_made_and_a_refused_one_may_be_put_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mailer.certifi, "where", lambda: str(CERTIFICATE))
    with mail_servers.serving(tls="starttls", logins={"us@er": "p:ss"}) as server:
        place = server.url.removeprefix("smtp://") + "?starttls=1"
        assert _perform(_mailer(f"smtp://us%40er:p%3Ass@{place}"))[0] == Succeeded()
        outcome, _ = _perform(_mailer(f"smtp://us%40er:wrong@{place}"))
        assert isinstance(outcome, Failed)
        assert not outcome.permanent
        assert "535" in outcome.error
        assert "wrong" not in outcome.error


@pytest.mark.parametrize("tls", ["smtps", "starttls"])
def test_the_connection_is_encrypted_and_the_server_verified(
    tls: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_servers.serving(tls=tls) as server:
        url = server.url + ("?starttls=1" if tls == "starttls" else "")
        outcome, _ = _perform(_mailer(url))
        assert isinstance(outcome, Failed)
        assert "its certificate is not accepted: self-signed certificate" in outcome.error
        assert not outcome.permanent
        monkeypatch.setattr(mailer.certifi, "where", lambda: str(CERTIFICATE))
        assert _perform(_mailer(url))[0] == Succeeded()
        assert len(server.messages) == 1


def test_a_server_that_demands_encryption_refuses_without() -> None:
    with mail_servers.serving(tls="starttls") as server:
        outcome, _ = _perform(_mailer(server.url))
        assert isinstance(outcome, Failed)
        assert server.messages == []


def test_without_a_server_messages_become_files(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "mail"
    outcome, attempt = _perform(_mailer(folder=folder), body="Grüße")
    assert outcome == Succeeded()
    (path,) = folder.iterdir()
    assert path.suffix == ".eml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert message["To"] == "ann@example.com"
    assert message["From"] == SENDER
    assert message.get_content().strip() == "Grüße"  # type: ignore[attr-defined]
    assert attempt.response
    assert attempt.response["via"] == f"mail/{path.name}"


def test_a_repeated_message_is_one_file(tmp_path: Path) -> None:
    job = specimens.job({"to": ["ann@example.com"], "subject": "s"}, "email")
    execution = specimens.claimed(job)
    for _ in range(2):
        email.perform(execution, job, mailer=_mailer(folder=tmp_path))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_worth_another_attempt(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    outcome, _ = _perform(_mailer(folder=tmp_path / "file" / "mail"))
    assert isinstance(outcome, Failed)
    assert not outcome.permanent


@pytest.mark.parametrize(
    "payload",
    [
        {"subject": "a\r\nBcc: eve@example.com"},
        {"subject": "a\nb"},
        {"to": ["ann@example.com\r\nBcc: eve@example.com"]},
        {"reply_to": "a@example.com\nX: y"},
        {"cc": ["not an address"]},
        {"body": "\ud800"},
    ],
)
def test_no_line_break_becomes_a_header(server: MailServer, payload: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        _perform(_mailer(server.url), **payload)
    assert server.messages == []


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": "a\r\nBcc: eve@example.com"},
        {"to": ["ann@example.com\r\nBcc: eve@example.com"]},
        {"cc": ["ann@example.com\nX: y"]},
        {"reply_to": "a@example.com\r\nX: y"},
    ],
)
def test_even_an_unchecked_email_cannot_make_a_header(fields: dict[str, Any]) -> None:
    unchecked = Email(**{"to": ["ann@example.com"], "subject": "s", **fields})
    with pytest.raises(Invalid):
        messages.build(unchecked, message_id=UUID(int=1), sent_at=datetime(2026, 1, 1, tzinfo=UTC))


def test_lines_are_never_longer_than_smtp_allows(server: MailServer) -> None:
    body = "x" * 5000 + "\n" + "ü" * 5000
    _perform(_mailer(server.url), subject="s" * 900, body=body)
    assert max(map(len, server.raw[0].split(b"\r\n"))) <= 998
    assert server.messages[0].get_content().splitlines() == body.splitlines()


def test_the_mail_servers_words_are_kept_short_and_clean(server: MailServer) -> None:
    server.replies["DATA"] = "554 Bad\x00   words"
    outcome, _ = _perform(_mailer(server.url))
    assert outcome == Failed("The mail server refused the message: 554 Bad words.", permanent=True)


def test_certificates_are_those_of_the_system_and_of_certifi() -> None:
    assert mailer._tls_context().verify_mode is ssl.CERT_REQUIRED
    assert mailer._tls_context().check_hostname

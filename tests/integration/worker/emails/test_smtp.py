"""Conversations with mail servers of every kind: patient, slow, rude, old and modern ones."""

import base64
import errno
import itertools
import re
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mail_servers
import specimens
from chronos_common.domain.executions import Attempt
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_worker.actions import email
from chronos_worker.attempts import Deadline
from chronos_worker.channels.email import SEND_SECONDS, VERDICT_SECONDS, EmailChannel
from chronos_worker.emails import mailer, replies, smtp
from chronos_worker.emails.mailer import Mailer
from chronos_worker.emails.smtp import Envelope, MailFailed, SmtpServer
from loopback import CERTIFICATE
from mail_servers import ScriptedServer


def _mailer(url: str, sender: str = "chronos@example.com") -> Mailer:
    settings: Any = SimpleNamespace(
        smtp_url=url,
        mail_from=sender,
        mail_dir=Path("/nowhere"),
        email_recipient_domains=(),
    )
    return Mailer(settings)


def _perform(
    url: str, *, timeout_seconds: float = 20, sender: str = "chronos@example.com", **payload: Any
) -> tuple[Outcome, Attempt]:
    payload = {"to": ["ann@example.com"], "subject": "Report", "body": "Done.", **payload}
    job = specimens.job(payload, "email", timeout_seconds=timeout_seconds)
    return email.perform(specimens.claimed(job), job, mailer=_mailer(url, sender))


def _failure(url: str, **options: Any) -> Failed:
    outcome, _ = _perform(url, **options)
    assert isinstance(outcome, Failed)
    return outcome


# --- The deadline


def test_the_jobs_timeout_is_the_only_bound_of_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines = []

    def submit(*_: Any, deadline: Deadline, verdict_seconds: float) -> dict[str, Any]:
        deadlines.append((deadline.seconds, verdict_seconds))
        return {}

    monkeypatch.setattr(smtp, "submit", submit)
    assert _perform("smtp://127.0.0.1:1", timeout_seconds=300)[0] == Succeeded()
    assert deadlines == [(300, 0)]


def test_a_server_that_thinks_about_the_whole_message_is_waited_for() -> None:
    with ScriptedServer({"END": [b"250 OK\r\n"]}, pause=1.0) as server:
        assert _perform(server.url)[0] == Succeeded()
        assert len(server.messages) == 1


def test_chronoss_own_mails_leave_the_server_ten_minutes_for_the_whole_message() -> None:
    assert VERDICT_SECONDS >= 600
    assert EmailChannel.longest_send.total_seconds() >= SEND_SECONDS + VERDICT_SECONDS
    with ScriptedServer({"END": [b"250 OK\r\n"]}, pause=1.0) as server:
        envelope = Envelope("a@example.com", ["b@example.com"], b"\r\n")
        refused = smtp.submit(
            SmtpServer.parse(server.url),
            None,
            envelope,
            deadline=Deadline(0.7),
            verdict_seconds=20,
        )
    assert refused == {}


def test_a_message_of_unknown_fate_is_said_to_be_one_and_goes_by_the_retry_policy() -> None:
    with ScriptedServer({"END": [b""] * 1000}, pause=0.05) as server:
        failure = _failure(server.url, timeout_seconds=0.5)
    assert not failure.permanent
    assert re.fullmatch(
        r"The mail server 127\.0\.0\.1:\d+ has the whole message, but did not say whether it "
        r"takes it: time ran out after 0\.5 s while waiting for its answer to the message\. The "
        r"recipients may have it\.",
        failure.error,
    )


def test_a_connection_that_breaks_after_the_message_leaves_its_fate_unknown() -> None:
    with ScriptedServer({"END": b"\r\n"}) as server:
        assert "The recipients may have it." in _failure(server.url).error


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("GREETING", itertools.repeat(b"220-\r\n")),
        ("GREETING", itertools.repeat(b"2")),
        ("EHLO", itertools.repeat(b"250-x\r\n")),
        ("MAIL", (bytes([each]) for each in itertools.cycle(b"250-Slowly\r\n"))),
        ("RCPT", itertools.repeat(b"250-\r\n")),
        ("DATA", itertools.repeat(b"354-\r\n")),
        ("END", itertools.repeat(b"250-\r\n")),
    ],
)
def test_a_server_that_never_finishes_a_step_is_left_at_the_jobs_timeout(
    step: str, words: Iterable[bytes]
) -> None:
    with ScriptedServer({step: words}, pause=0.05) as server:
        started = time.monotonic()
        failure = _failure(server.url, timeout_seconds=0.5)
        assert time.monotonic() - started < 10
    assert "time ran out after 0.5 s" in failure.error
    assert not failure.permanent


def test_a_server_that_does_not_read_is_left_at_the_jobs_timeout() -> None:
    long = Envelope("a@example.com", ["b@example.com"], b"x\r\n" * 8_000_000)
    with ScriptedServer(is_deaf=True) as server:
        expected = "time ran out after 2 s while sending the message"
        with pytest.raises(MailFailed, match=expected):
            smtp.submit(SmtpServer.parse(server.url), None, long, deadline=Deadline(2))


def test_a_resolver_that_hangs_is_left_at_the_jobs_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(30) and [])
    try:
        failure = _failure("smtp://mail.example.com", timeout_seconds=0.3)
    finally:
        over.set()
    assert failure.error == (
        "No mail could be sent via mail.example.com:25: time ran out after 0.3 s while connecting."
    )


def test_a_server_without_end_to_its_answer_is_left() -> None:
    with ScriptedServer({"GREETING": b"220-" + b"x" * 200_000}) as server:
        assert "its answer does not end" in _failure(server.url).error


def test_a_taken_message_is_taken_whatever_the_server_says_to_goodbye() -> None:
    for goodbye in (b"500 No\r\n", b"garbage\r\n"):
        with ScriptedServer({"QUIT": goodbye}) as server:
            assert _perform(server.url)[0] == Succeeded()


# --- Extensions


def test_only_what_the_server_offers_is_announced_and_used() -> None:
    with ScriptedServer() as server:
        assert _perform(server.url, body="Grüße", subject="ü")[0] == Succeeded()
    assert server.commands[1] == "MAIL FROM:<chronos@example.com>"
    assert server.messages[0].isascii()
    offer = b"250-mail.example.com\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1000000\r\n"
    with ScriptedServer({"EHLO": offer}) as server:
        assert _perform(server.url, body="Grüße", subject="ü")[0] == Succeeded()
    assert re.fullmatch(r"MAIL FROM:<chronos@example\.com> SIZE=\d+", server.commands[1])
    assert server.messages[0].isascii()


def test_a_server_that_knows_helo_only_gets_mail() -> None:
    with ScriptedServer({"EHLO": b"502 What?\r\n"}) as server:
        assert _perform(server.url)[0] == Succeeded()
    assert server.commands[1].startswith("helo ")


def test_the_domain_of_an_address_is_sent_in_ascii() -> None:
    with ScriptedServer() as server:
        outcome, attempt = _perform(
            server.url, to=["a@bücher.example", "b@straße.example"], sender="Büro <c@büro.example>"
        )
    assert outcome == Succeeded()
    assert server.commands[1:4] == [
        "MAIL FROM:<c@xn--bro-hoa.example>",
        "RCPT TO:<a@xn--bcher-kva.example>",
        "RCPT TO:<b@xn--strae-oqa.example>",
    ]
    assert b"To: a@xn--bcher-kva.example,\r\n b@xn--strae-oqa.example\r\n" in server.messages[0]
    assert attempt.response
    assert attempt.response["accepted"] == ["a@xn--bcher-kva.example", "b@xn--strae-oqa.example"]


def test_who_is_in_bcc_gets_the_message_and_is_not_named_in_it() -> None:
    with ScriptedServer() as server:
        _, attempt = _perform(server.url, bcc=["eve@example.com"])
    assert "RCPT TO:<eve@example.com>" in server.commands
    assert b"eve" not in server.messages[0]
    assert attempt.response
    assert attempt.response["accepted"] == ["ann@example.com", "eve@example.com"]


def test_a_mailbox_that_is_named_twice_is_told_to_the_server_once() -> None:
    with ScriptedServer() as server:
        _perform(server.url, to=["ann@example.com"] * 2, cc=["ann@EXAMPLE.com", "Ann@example.com"])
    assert [each for each in server.commands if each.startswith("RCPT")] == [
        "RCPT TO:<ann@example.com>",
        "RCPT TO:<Ann@example.com>",
    ]


# --- Logins


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_a_login_may_have_every_character(mechanism: str) -> None:
    offer = f"250-mail.example.com\r\n250 AUTH {mechanism}\r\n".encode()
    says: Iterator[bytes] = iter([b"334 VXNlcg==\r\n", b"334 UGFzcw==\r\n", b"235 Welcome\r\n"])
    if mechanism == "PLAIN":
        says = iter([b"235 Welcome\r\n"])
    elif mechanism == "CRAM-MD5":
        says = iter([b"334 VXNlcg==\r\n", b"235 Welcome\r\n"])

    class Script(dict[str, bytes]):
        def get(self, step: str, usual: Any = None) -> Any:
            if step in {"GREETING", "MAIL", "RCPT", "DATA", "END", "QUIT"}:
                return usual
            return offer if step == "EHLO" else next(says)

    with ScriptedServer(Script()) as server:
        url = server.url.replace("//", "//us%C3%A9r:p%C3%A4ss%20%E2%82%AC%40%3A%2F@")
        assert _perform(url)[0] == Succeeded()
    given_, *more = server.commands[1:4]
    if mechanism == "PLAIN":
        assert base64.b64decode(given_.split()[-1]).decode() == "\0usér\0päss €@:/"
    elif mechanism == "LOGIN":
        assert [base64.b64decode(each).decode() for each in more] == ["usér", "päss €@:/"]
    else:
        assert base64.b64decode(more[0]).decode().startswith("usér ")


def test_a_password_with_umlauts_opens_a_real_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailer.certifi, "where", lambda: str(CERTIFICATE))
    with mail_servers.serving(tls="starttls", logins={"büro": "pä:ß@日本"}) as server:
        place = server.url.removeprefix("smtp://") + "?starttls=1"
        password = "p%C3%A4:%C3%9F%40%E6%97%A5%E6%9C%AC"
        assert _perform(f"smtp://b%C3%BCro:{password}@{place}")[0] == Succeeded()
        failure = _failure(f"smtp://b%C3%BCro:falsch@{place}")
    assert "falsch" not in failure.error


# --- Words


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (
            {"GREETING": b"554 5.7.1 You are not welcome\r\n"},
            "The mail server {place} takes no mail now: 554 5.7.1 You are not welcome.",
        ),
        (
            {"GREETING": b"HTTP/1.1 400 Bad Request\r\n"},
            (
                "No mail could be sent via {place}: it answered with something that is not SMTP "
                '("HTTP/1.1 400 Bad Request"), while waiting for its greeting.'
            ),
        ),
        (
            {"GREETING": b"\xff\xfe\x00\r\n"},
            (
                "No mail could be sent via {place}: it answered with something that is not SMTP "
                '("\ufffd\ufffd"), while waiting for its greeting.'
            ),
        ),
        (
            {"EHLO": b"421 Busy\r\n", "HELO": b"421 Busy\r\n"},
            "No mail could be sent via {place}: it answered 421 Busy, while greeting it.",
        ),
        (
            {"MAIL": b"530 5.7.0 Must issue a STARTTLS command first\r\n"},
            (
                "The mail server refused the message: 530 5.7.0 Must issue a STARTTLS command "
                "first. Check CHRONOS_SMTP_URL: the server wants a login or encryption."
            ),
        ),
        (
            {"RCPT": b"421 4.3.2 Shutting down\r\n"},
            "The mail server refused the message: 421 4.3.2 Shutting down.",
        ),
        ({"MAIL": b"451\r\n"}, "The mail server refused the message: 451 (no reason is given)."),
        (
            {"DATA": b"451-4.3.0 One\x1b[31m\x00\r\n451 4.3.0 T\xe4wo\xff\r\n"},
            "The mail server refused the message: 451 4.3.0 One [31m 4.3.0 T\ufffdwo\ufffd.",
        ),
        (
            {"RCPT": b"452 4.5.3 Too many\r\n"},
            "The mail server refused ann@example.com (452 4.5.3 Too many).",
        ),
    ],
)
def test_what_goes_wrong_is_said_in_words(script: dict[str, bytes], error: str) -> None:
    with ScriptedServer({**script}) as server:
        failure = _failure(server.url)
    assert failure.error == error.format(place=server.url.removeprefix("smtp://"))
    assert not failure.permanent


@pytest.mark.parametrize(
    ("offer", "query", "error"),
    [
        (
            b"250-x\r\n250 AUTH CRAM-MD5 PLAIN LOGIN\r\n",
            "",
            (
                "The mail server refused the login: 535 5.7.8 bad credentials. Check the user and "
                "the password in CHRONOS_SMTP_URL."
            ),
        ),
        (
            b"250-x\r\n250 AUTH XOAUTH2\r\n",
            "",
            (
                "The mail server {place} offers no login that Chronos knows (CRAM-MD5, PLAIN, "
                "LOGIN). Check CHRONOS_SMTP_URL: it may need starttls=1, or no user."
            ),
        ),
        (
            b"250 x\r\n",
            "?starttls=1",
            (
                "The mail server {place} does not offer STARTTLS, which CHRONOS_SMTP_URL asks for "
                "with starttls=1."
            ),
        ),
    ],
)
def test_a_login_that_does_not_work_says_what_to_check(
    offer: bytes, query: str, error: str
) -> None:
    script: dict[str, bytes | Iterable[bytes]] = {
        "EHLO": offer,
        "AUTH": b"535 5.7.8 bad credentials\r\n",
    }
    with ScriptedServer(script) as server:
        failure = _failure(server.url.replace("//", "//user:pass@") + query)
    assert failure.error == error.format(place=server.url.removeprefix("smtp://"))
    assert not failure.permanent


@pytest.mark.parametrize("reply", [b"421 4.7.0 Too many\r\n", b"454 4.7.0 Come back later\r\n"])
def test_a_login_that_is_refused_for_now_blames_no_password(reply: bytes) -> None:
    offer = b"250-x\r\n250 AUTH PLAIN\r\n"
    with ScriptedServer({"EHLO": offer, "AUTH": reply}) as server:
        failure = _failure(server.url.replace("//", "//user:pass@"))
    words = reply.decode().strip()
    assert failure.error == f"The mail server takes no login now: {words}."
    assert not failure.permanent


def test_a_server_that_leaves_after_a_refused_login_is_quoted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def converse() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                connection.sendall(b"220 x\r\n")
                lines.readline()
                connection.sendall(b"250-x\r\n250 AUTH CRAM-MD5 PLAIN\r\n")
                lines.readline()
                connection.sendall(b"535 5.7.8 Bad credentials\r\n")

        thread = Thread(target=converse)
        thread.start()
        error = _failure(f"smtp://user:pass@127.0.0.1:{listener.getsockname()[1]}").error
        thread.join()
    assert error.startswith("The mail server refused the login: 535 5.7.8 Bad credentials.")


def test_a_server_is_reached_by_the_family_of_addresses_that_the_system_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ScriptedServer() as server:
        port = int(server.url.rpartition(":")[2])
        unknown = (999, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        known = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [unknown, known])
        outcome, _ = _perform(f"smtp://localhost:{port}")
    assert outcome == Succeeded()


def test_a_timeout_of_the_system_is_not_called_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    def time_out(*_: object) -> None:
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

    monkeypatch.setattr(socket.socket, "connect", time_out)
    assert _failure("smtp://[::1]:25").error == (
        "No mail could be sent via [::1]:25: it did not answer in time, while connecting."
    )


def test_a_server_that_speaks_no_tls_is_said_to_be_one() -> None:
    with ScriptedServer() as server:
        error = _failure(server.url.replace("smtp:", "smtps:")).error
    assert "TLS failed: " in error
    assert "[SSL" not in error
    assert "_ssl.c" not in error


def test_a_server_that_is_not_there_is_said_to_be_so_without_numbers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert _failure(f"smtp://127.0.0.1:{port}").error == (
        f"No mail could be sent via 127.0.0.1:{port}: Connection refused, while connecting."
    )


@given(st.binary(max_size=2000))
def test_whatever_a_server_says_becomes_one_bounded_line_of_characters(said: bytes) -> None:
    shown = replies.clean(said)
    assert shown.isprintable()
    assert len(shown) <= replies.MAX_LENGTH + 1
    assert shown == shown.strip()

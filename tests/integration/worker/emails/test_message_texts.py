"""What somebody writes is what the recipient reads, through a real mail server."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mail_servers
import specimens
from chronos_common.domain.addresses import Sender, ascii_address
from chronos_common.domain.outcomes import Succeeded
from chronos_common.domain.payloads import Email
from chronos_common.errors import Invalid
from chronos_worker.actions import email
from chronos_worker.emails import message as messages
from chronos_worker.emails.mailer import Mailer
from mail_servers import MailServer, ScriptedServer

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
HEADERS = {
    "Message-ID", "Date", "MIME-Version", "Auto-Submitted", "To", "Cc", "Reply-To", "Subject",
    "Content-Type", "Content-Transfer-Encoding", "From",
}  # fmt: skip

#: Texts with the characters that mail programs have trouble with, more often than by chance.
TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
        st.sampled_from("\r\n \t.=F-"),
    ),
    max_size=300,
) | st.lists(
    st.sampled_from(
        ["From ", ".", "..", "\n", "\r\n", "\r", " ", "x" * 1200, "ü" * 600, "=20", "--"]
    )
).map("".join)
LINES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]) | st.sampled_from(" =?_"),
    max_size=400,
) | st.sampled_from(["=?utf-8?q?a=0d=0aBcc:=20eve@example.com?=", " x ", "=?", "x" * 998])


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with mail_servers.serving() as server:
        yield server


def _built(**fields: Any) -> tuple[EmailMessage, bytes]:
    """Return a message as it is sent, and as its reader's program understands it."""
    given_ = Email(**{"to": ["ann@example.com"], "subject": "s", **fields})
    message = messages.build(given_, message_id=UUID(int=1), sent_at=MOMENT)
    messages.set_sender(message, Sender("Chronos", "chronos@example.com"))
    raw = messages.content_of(message)
    read = message_from_bytes(raw, policy=policy.default)
    assert isinstance(read, EmailMessage)
    return read, raw


def _read(part: Any) -> str:
    """Return a text with line breaks as Python has them; that is the reader's program's choice."""
    return str(part.get_content()).replace("\r\n", "\n")


def _same_lines(text: str) -> str:
    return text.replace("\r\n", "\n")


@settings(max_examples=500, deadline=None)
@given(body=TEXTS, html=st.none() | TEXTS, subject=LINES)
def test_every_text_is_read_as_it_was_written(body: str, html: str | None, subject: str) -> None:
    read, raw = _built(body=body, html=html, subject=subject)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert read["Subject"] == subject
    assert set(read.keys()) <= HEADERS
    if html is not None and body:
        plain, rich = read.iter_parts()
        assert (_read(plain), _read(rich)) == (_same_lines(body), _same_lines(html))
    else:
        assert _read(read) == _same_lines(body if html is None else html)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n",
        "Done.",
        "From here on\nFrom From there\n>From the other\n",
        ".\n..\n.hidden\n",
        "x" * 5000 + "\n" + "ü" * 5000,
        "a \nb\t\n  c",
        "a\rb\n\rc",
        "a\r\nb\nc",
        "a\x0cb\x0bc\x1cd\x85e",
        "a\u2028b\u2029c",
        "日本語\n" * 100,
        "🦊" * 200,
        "=3D=\n= \n",
        "--boundary--\n",
    ],
)
@pytest.mark.parametrize("kind", ["body", "html"])
def test_a_real_server_gets_texts_as_they_were_written(
    server: MailServer, body: str, kind: str
) -> None:
    server.messages.clear()
    settings: Any = SimpleNamespace(
        smtp_url=server.url,
        mail_from="a@example.com",
        mail_dir=Path("/nowhere"),
        email_recipient_domains=(),
    )
    payload = {"to": ["ann@example.com"], "subject": "s", kind: body}
    job = specimens.job(payload, "email", timeout_seconds=20)
    outcome, _ = email.perform(specimens.claimed(job), job, mailer=Mailer(settings))
    assert outcome == Succeeded()
    (message,) = server.messages
    assert _read(message) == _same_lines(body)


def test_a_line_that_begins_like_a_mailbox_files_is_not_changed_on_its_way() -> None:
    """Programs that store mail in one file put ``>`` before such lines."""
    for body in ("From a to b\n", "x" * 71 + " From a to b. " * 20):
        _, raw = _built(body=body)
        assert not any(line.startswith(b"From ") for line in raw.split(b"\r\n"))


def test_plain_text_stays_readable_on_its_way() -> None:
    _, raw = _built(body="Plain text.\nTwo lines.\n", subject="A plain subject")
    assert b"\r\nSubject: A plain subject\r\n" in raw
    assert raw.endswith(b"\r\n\r\nPlain text.\r\nTwo lines.\r\n")


@pytest.mark.parametrize(
    "subject",
    [
        "Rapport\u00a0: 5\u00a0€",
        "\u06af\u0632\u0627\u0631\u0634\u200c\u0647\u0627",
        "=?utf-8?q?a=0d=0aBcc:=20eve@example.com?=",
        "=?utf-8?b?YQ0KQmNjOiBldmVAZXhhbXBsZS5jb20=?=",
        "x" * 998,
        "lang " * 199,
        "🦊" * 400,
    ],
)
def test_every_subject_of_one_line_arrives(subject: str) -> None:
    read, raw = _built(subject=subject)
    assert read["Subject"] == subject
    assert read["Bcc"] is None
    header = raw.partition(b"\r\n\r\n")[0]
    assert max(map(len, header.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    "subject", ["a\r\nBcc: b@example.com", "a\nb", "a\x85b", "a\x1b[31m", "a\u2028b"]
)
def test_a_subject_of_more_than_one_line_is_refused(subject: str) -> None:
    with pytest.raises(Invalid, match="one line"):
        _built(subject=subject)


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        ("Büro Größe <a@example.com>", "Büro Größe"),
        ('"Chronos, Inc." <a@example.com>', "Chronos, Inc."),
        ('"=?utf-8?q?a=0d=0aBcc:=20eve@example.com?=" <a@example.com>', None),
        ("a@büro.example", ""),
    ],
)
def test_the_senders_name_arrives_and_makes_no_header(sender: str, name: str | None) -> None:
    made = Email(["ann@example.com"], "s", "b")
    message = messages.build(made, message_id=UUID(int=1), sent_at=MOMENT)
    messages.set_sender(message, Sender.parse(sender))
    read = message_from_bytes(messages.content_of(message), policy=policy.default)
    assert set(read.keys()) <= HEADERS
    (address,) = read["From"].addresses
    assert address.addr_spec in {"a@example.com", "a@xn--bro-hoa.example"}
    assert name is None or address.display_name == name


def test_dots_survive_a_server_that_takes_them_off() -> None:
    with ScriptedServer() as server:
        settings: Any = SimpleNamespace(
            smtp_url=server.url,
            mail_from="a@example.com",
            mail_dir=Path("/nowhere"),
            email_recipient_domains=(),
        )
        payload = {"to": ["ann@example.com"], "subject": "s", "body": ".\n..x\nend\n"}
        job = specimens.job(payload, "email", timeout_seconds=20)
        email.perform(specimens.claimed(job), job, mailer=Mailer(settings))
    lines = server.messages[0].split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    assert b"..x" not in lines


#: Texts that end a line or a header somewhere, or that some reader decodes.
_BREAKS = st.sampled_from(
    [
        *("\r\n", "\n", "\r", "\0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\ud800"),
        *("Bcc: eve@example.com", "\r\n\r\nbody", "=?utf-8?q?=0d=0aBcc:=20eve@example.com?="),
        *("=?utf-7?q?+AA0ACg?=", "\r\n eve", "a@example.com,eve@example.com", "<eve@example.com>"),
    ]
)
HOSTILE = st.lists(_BREAKS | st.text(max_size=20), max_size=6).map("".join)


@settings(max_examples=1000, deadline=None)
@given(
    to=st.lists(HOSTILE | st.just("ann@example.com"), min_size=1, max_size=3),
    cc=st.lists(HOSTILE, max_size=1),
    reply_to=st.none() | HOSTILE,
    subject=HOSTILE,
    body=HOSTILE,
    html=st.none() | HOSTILE,
)
def test_no_text_of_a_user_becomes_a_header_or_a_recipient(
    to: list[str], cc: list[str], reply_to: str | None, subject: str, body: str, html: str | None
) -> None:
    """Parses the bytes that leave: the headers are the expected ones, whatever the fields hold."""
    try:
        _, raw = _built(to=to, cc=cc, reply_to=reply_to, subject=subject, body=body, html=html)
    except Invalid:
        return
    header, _, _ = raw.partition(b"\r\n\r\n")
    unfolded = header.replace(b"\r\n ", b" ").split(b"\r\n")
    names = [line.partition(b": ")[0].decode() for line in unfolded]
    assert len(names) == len(set(names))
    assert set(names) <= HEADERS
    assert "\n" not in header.replace(b"\r\n", b"").decode("ascii")
    found = {
        name.lower(): line.partition(b": ")[2] for name, line in zip(names, unfolded, strict=True)
    }
    assert found["to"].decode() == ", ".join(map(ascii_address, to))
    assert found.get("cc", b"").decode() == ", ".join(map(ascii_address, cc))


def test_a_header_that_breaks_after_all_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's versions differ in what they let through: the built message is checked."""
    monkeypatch.setattr(messages, "_text_lines", lambda text, **_: [text])
    monkeypatch.setattr(messages, "line_fault", lambda _: None)
    for subject in ("a\r\nBcc: eve@example.com", "a\r\n\r\nbody", "a\nb", "a\0b"):
        with pytest.raises(Invalid):
            _built(subject=subject)

"""Failed transfers in words that the owner of a job can use."""

import re

import pycurl
import pytest

from chronos_worker.transfers import errors
from chronos_worker.transfers.results import ErrorKind, TransferError
from outages import no_descriptors

#: All result codes of libcurl (curl/curl.h), with some to come.
CODES = range(1, 110)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("message", ["", "Something broke", "It broke after 187 milliseconds."])
def test_every_code_has_words(code: int, message: str) -> None:
    text = errors.error_of(code, message).message
    assert re.match(r"[A-Z][a-z]+ ", text)
    assert not text.endswith(".")
    assert "millisecond" not in text
    assert not re.fullmatch(r"\W*(libcurl)?\W*\d*\W*", text)


@pytest.mark.parametrize(
    ("code", "message", "kind", "text"),
    [
        (
            pycurl.E_COULDNT_RESOLVE_HOST,
            "Could not resolve host: x.invalid",
            ErrorKind.DNS,
            "Could not resolve host: x.invalid",
        ),
        (
            pycurl.E_COULDNT_CONNECT,
            "Failed to connect to x port 1 after 12 ms: Could not connect to server",
            ErrorKind.CONNECT,
            "Failed to connect to x port 1: Could not connect to server",
        ),
        (
            pycurl.E_SSL_CONNECT_ERROR,
            "TLS connect error: error:0A00010B:SSL routines::wrong version number",
            ErrorKind.TLS,
            "No TLS connection could be made: TLS connect error: wrong version number",
        ),
        (
            pycurl.E_RECV_ERROR,
            "Recv failure: Connection reset by peer",
            ErrorKind.CONNECT,
            "The answer could not be received: Recv failure: Connection reset by peer",
        ),
        (
            pycurl.E_PEER_FAILED_VERIFICATION,
            "SSL certificate OpenSSL verify result: self-signed certificate (18)",
            ErrorKind.TLS,
            "The target's certificate is refused: self-signed certificate",
        ),
        (
            pycurl.E_PEER_FAILED_VERIFICATION,
            "SSL: no subject name matches host x",
            ErrorKind.TLS,
            "The target's certificate is refused: no subject name matches host x",
        ),
        (
            pycurl.E_RECV_ERROR,
            "OpenSSL SSL_read: OpenSSL/3.6.5: unexpected eof while reading, errno 0",
            ErrorKind.CONNECT,
            "The target closed the connection before the end of its answer",
        ),
        (
            pycurl.E_RECV_ERROR,
            "OpenSSL SSL_read: OpenSSL/3.6.5: tlsv13 alert certificate required, errno 0",
            ErrorKind.CONNECT,
            "The answer could not be received: tlsv13 alert certificate required",
        ),
        (
            pycurl.E_SEND_ERROR,
            "OpenSSL SSL_write: SSL_ERROR_SYSCALL, errno 104",
            ErrorKind.CONNECT,
            "The connection broke before the request's end: SSL_ERROR_SYSCALL",
        ),
        (
            16,
            "[HTTP2] [3] invalid frame: PING, error -505: Protocol error",
            ErrorKind.PROTOCOL,
            "The target broke the rules of HTTP/2: invalid frame: PING: Protocol error",
        ),
        (16, "", ErrorKind.PROTOCOL, "The target broke the rules of HTTP/2"),
        (
            100,
            "A value or data field grew larger than allowed",
            ErrorKind.PROTOCOL,
            "The answer's header is too long",
        ),
        (
            pycurl.E_GOT_NOTHING,
            "Empty reply from server",
            ErrorKind.CONNECT,
            "The target closed the connection without an answer",
        ),
    ],
)
def test_libcurls_message_is_kept_where_it_adds_something(
    code: int, message: str, kind: ErrorKind, text: str
) -> None:
    assert errors.error_of(code, message) == TransferError(kind, text)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            pycurl.error(3, "URL rejected: Bad hostname"),
            "URL is malformed: URL rejected: Bad host",
        ),
        (pycurl.error("invalid arguments to setopt"), "the worker's log says why"),
        (UnicodeEncodeError("ascii", "\u00fc", 0, 1, "no"), "the worker's log says why"),
        (KeyError("target"), "the worker's log says why"),
    ],
)
def test_what_libcurl_does_not_accept_is_said_without_python(error: Exception, text: str) -> None:
    message = errors.not_sent(error).message
    assert text in message
    assert "'" not in message.replace("'s", "")
    assert "(" not in message


def test_a_timeout_names_the_jobs_setting() -> None:
    assert "timeout_seconds (30)" in errors.timed_out(30.0).message
    assert "timeout_seconds (0.5)" in errors.timed_out(0.5).message
    assert "timeout_seconds (2)" in errors.not_connected(2.0).message
    assert "10 seconds" in errors.not_connected().message


def test_a_name_that_was_looked_up_without_descriptors_is_not_called_unknown() -> None:
    code = pycurl.E_COULDNT_RESOLVE_HOST
    error = errors.error_of(code, "Could not resolve host: example.com")
    with no_descriptors():
        assert errors.before_sending(code, error).kind is ErrorKind.WORKER
    assert errors.before_sending(code, error).kind is ErrorKind.DNS

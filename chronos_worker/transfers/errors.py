"""Errors of transfers: the texts for libcurl's result codes, with details of its messages."""

import re
from typing import Final

import pycurl

from chronos_worker import exhaustion
from chronos_worker.transfers.results import ErrorKind, TransferError

#: The longest time for connecting, even if the job's timeout is longer.
CONNECT_TIMEOUT_SECONDS: Final = 10

# Codes of curl/curl.h without a name in pycurl.
_WEIRD_SERVER_REPLY: Final = 8
_HTTP2_STREAM: Final = 92
_HTTP3: Final = 95
_QUIC_CONNECT_ERROR: Final = 96
_SSL_CLIENTCERT: Final = 98
_UNRECOVERABLE_POLL: Final = 99
_TOO_LARGE: Final = 100

NO_ANSWER: Final = TransferError(
    ErrorKind.CONNECT, "The target closed the connection without an answer"
)

_ERRORS: Final[dict[int, TransferError]] = {
    code: TransferError(kind, text)
    for code, kind, text in (
        (pycurl.E_UNSUPPORTED_PROTOCOL, ErrorKind.PROTOCOL, "The target did not answer in HTTP"),
        (pycurl.E_URL_MALFORMAT, ErrorKind.INVALID_URL, "The URL is malformed"),
        (pycurl.E_COULDNT_RESOLVE_HOST, ErrorKind.DNS, "The host's name could not be resolved"),
        (pycurl.E_COULDNT_CONNECT, ErrorKind.CONNECT, "The target could not be connected to"),
        (_WEIRD_SERVER_REPLY, ErrorKind.PROTOCOL, "The answer's header is malformed"),
        (pycurl.E_HTTP2, ErrorKind.PROTOCOL, "The target broke the rules of HTTP/2"),
        (
            pycurl.E_PARTIAL_FILE,
            ErrorKind.CONNECT,
            "The connection closed within the answer",
        ),
        (pycurl.E_OUT_OF_MEMORY, ErrorKind.INTERNAL, "The worker is out of memory"),
        (pycurl.E_SSL_CONNECT_ERROR, ErrorKind.TLS, "No TLS connection could be made"),
        (pycurl.E_ABORTED_BY_CALLBACK, ErrorKind.INTERNAL, "The worker stopped the transfer"),
        (pycurl.E_BAD_FUNCTION_ARGUMENT, ErrorKind.INTERNAL, "The request cannot be sent"),
        (pycurl.E_FAILED_INIT, ErrorKind.INTERNAL, "The transfer could not be set up"),
        (pycurl.E_SEND_ERROR, ErrorKind.CONNECT, "The connection broke before the request's end"),
        (pycurl.E_RECV_ERROR, ErrorKind.CONNECT, "The answer could not be received"),
        (pycurl.E_SSL_CERTPROBLEM, ErrorKind.TLS, "The worker's own certificate is faulty"),
        (pycurl.E_SSL_CIPHER, ErrorKind.TLS, "There is no TLS cipher that both sides have"),
        (pycurl.E_PEER_FAILED_VERIFICATION, ErrorKind.TLS, "The target's certificate is refused"),
        (pycurl.E_BAD_CONTENT_ENCODING, ErrorKind.PROTOCOL, "The answer's coding is not known"),
        (
            pycurl.E_SSL_CACERT_BADFILE,
            ErrorKind.TLS,
            "The worker has no certificate authorities",
        ),
        (pycurl.E_SSL_ISSUER_ERROR, ErrorKind.TLS, "The certificate's issuer is refused"),
        (pycurl.E_SSL_INVALIDCERTSTATUS, ErrorKind.TLS, "The certificate's status is refused"),
        (_HTTP2_STREAM, ErrorKind.CONNECT, "The target ended the HTTP/2 stream with an error"),
        (_HTTP3, ErrorKind.PROTOCOL, "The target broke the rules of HTTP/3"),
        (_QUIC_CONNECT_ERROR, ErrorKind.CONNECT, "No QUIC connection could be made"),
        (_SSL_CLIENTCERT, ErrorKind.TLS, "The target asks for a client certificate"),
        (_UNRECOVERABLE_POLL, ErrorKind.INTERNAL, "The worker cannot wait for its sockets"),
        (_TOO_LARGE, ErrorKind.PROTOCOL, "The answer's header is too long"),
    )
} | {pycurl.E_GOT_NOTHING: NO_ANSWER, pycurl.E_SEND_FAIL_REWIND: NO_ANSWER}

# libcurl's message is used alone.
_MESSAGE_ONLY: Final = frozenset(
    {
        pycurl.E_COULDNT_RESOLVE_HOST,
        pycurl.E_COULDNT_CONNECT,
    }
)
# libcurl's message would only repeat ours.
_WITHOUT_MESSAGE: Final = frozenset(
    {pycurl.E_GOT_NOTHING, pycurl.E_SEND_FAIL_REWIND, pycurl.E_OUT_OF_MEMORY, _TOO_LARGE}
)
# Parts of messages without use for a job's owner: the time of one hop, and the numbers, functions
# and versions of libraries.
_NOISE: Final = re.compile(
    r" after \d+ (?:ms|milliseconds)\b|\berror:[0-9A-Fa-f]+:|\b\w+ routines:\w*:| \(\d+\)$"
    r"|\bOpenSSL SSL_\w+: |\bOpenSSL/[\w.]+: |, errno \d+$|^\[HTTP2\] \[\d+\] |, error -?\d+(?=:)"
    r"|^(?:SSL certificate OpenSSL verify result|SSL certificate problem|SSL): "
)
# OpenSSL's text for a connection that was closed without the end of TLS, as many targets do.
_NO_GOODBYE: Final = "unexpected eof while reading"
_CLOSED: Final = TransferError(
    ErrorKind.CONNECT, "The target closed the connection before the end of its answer"
)


def error_of(code: int, message: str) -> TransferError:
    """Return the error behind libcurl's result ``code`` with its ``message``."""
    if code == pycurl.E_RECV_ERROR and _NO_GOODBYE in message:
        return _CLOSED
    error = _ERRORS.get(code)
    detail = "" if code in _WITHOUT_MESSAGE else _NOISE.sub("", message).strip().rstrip(".")
    if error is None:
        text = f"The transfer failed: {detail or f'libcurl calls it error {code}'}"
        return TransferError(ErrorKind.PROTOCOL, text)
    if not detail:
        return error
    return error._replace(
        message=detail if code in _MESSAGE_ONLY else f"{error.message}: {detail}"
    )


#: libcurl's codes for the same.
_CURL_EXHAUSTED: Final = {pycurl.E_OUT_OF_MEMORY, pycurl.E_FAILED_INIT, _UNRECOVERABLE_POLL}


def without_socket(error: OSError) -> TransferError:
    """Return the error of a request for which the worker could make no socket."""
    kind = ErrorKind.WORKER if exhaustion.is_exhausted(error.errno) else ErrorKind.CONNECT
    return TransferError(kind, f"The worker could not make a socket: {error.strerror}")


def before_sending(code: int, error: TransferError) -> TransferError:
    """Return ``error``, which libcurl reports as ``code``, of a request that has not left."""
    is_unresolved = code == pycurl.E_COULDNT_RESOLVE_HOST
    if code in _CURL_EXHAUSTED or (is_unresolved and exhaustion.lacks_descriptors()):
        return error._replace(kind=ErrorKind.WORKER)
    return error


def not_sent(error: Exception) -> TransferError:
    """Return the error of a request that libcurl did not accept because of ``error``."""
    if isinstance(error, MemoryError):
        return TransferError(ErrorKind.WORKER, "The worker is out of memory")
    if isinstance(error, OSError):
        return without_socket(error)
    if isinstance(error, pycurl.error) and len(error.args) == 2:  # noqa: PLR2004 - code, message
        return before_sending(error.args[0], error_of(*error.args))
    text = "The request could not be sent; the worker's log says why"
    return TransferError(ErrorKind.INTERNAL, text)


def timed_out(timeout_seconds: float) -> TransferError:
    """Return the error of an attempt that used up its job's timeout."""
    text = f"The answer was not complete within {_limit(timeout_seconds)}"
    return TransferError(ErrorKind.TIMEOUT, text)


def not_connected(timeout_seconds: float | None = None) -> TransferError:
    """Return the error of an attempt that found no connection in its job's time or in ours."""
    limit = _limit(timeout_seconds) if timeout_seconds else f"{CONNECT_TIMEOUT_SECONDS} seconds"
    return TransferError(ErrorKind.TIMEOUT, f"No connection to the target was made within {limit}")


def _limit(timeout_seconds: float) -> str:
    return f"the job's timeout_seconds ({timeout_seconds:g})"

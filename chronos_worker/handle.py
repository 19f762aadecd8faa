"""One libcurl easy handle, used for one transfer after the other.

Options that never change are set once and callbacks are bound once: setting up a request costs
as much as sending it. All of this runs on the engine's thread.
"""

import socket
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import certifi
import pycurl

from chronos_common import __version__
from chronos_worker.egress import EgressGuard
from chronos_worker.request import Message
from chronos_worker.result import ErrorKind, Result, TransferError

MAX_BODY_BYTES: Final = 1 << 20
KEPT_BODY_BYTES: Final = 64 << 10
_CONNECT_TIMEOUT_MS: Final = 10_000
# DNS changes are noticed although connections are kept.
_MAX_CONNECTION_AGE_SECONDS: Final = 300

_ABORT: Final = -1
# pycurl has no types of its own; these say what its constants are.
_BAD_SOCKET: Final[int] = pycurl.SOCKET_BAD
_MAY_PROCEED: Final[int] = pycurl.PREREQFUNC_OK
_MUST_NOT_PROCEED: Final[int] = pycurl.PREREQFUNC_ABORT
_TIMINGS: Final = (
    ("dns", pycurl.NAMELOOKUP_TIME_T),
    ("connect", pycurl.CONNECT_TIME_T),
    ("tls", pycurl.APPCONNECT_TIME_T),
    ("first_byte", pycurl.STARTTRANSFER_TIME_T),
    ("total", pycurl.TOTAL_TIME_T),
)
_KINDS: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: ErrorKind.DNS,
    pycurl.E_URL_MALFORMAT: ErrorKind.INVALID_URL,
    pycurl.E_COULDNT_CONNECT: ErrorKind.CONNECT,
    pycurl.E_SEND_ERROR: ErrorKind.CONNECT,
    pycurl.E_RECV_ERROR: ErrorKind.CONNECT,
    pycurl.E_GOT_NOTHING: ErrorKind.CONNECT,
    pycurl.E_OPERATION_TIMEDOUT: ErrorKind.TIMEOUT,
    pycurl.E_SSL_CONNECT_ERROR: ErrorKind.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: ErrorKind.TLS,
    pycurl.E_SSL_CERTPROBLEM: ErrorKind.TLS,
    pycurl.E_SSL_CIPHER: ErrorKind.TLS,
    pycurl.E_SSL_CACERT_BADFILE: ErrorKind.TLS,
    pycurl.E_SSL_ISSUER_ERROR: ErrorKind.TLS,
    pycurl.E_SSL_INVALIDCERTSTATUS: ErrorKind.TLS,
    pycurl.E_OUT_OF_MEMORY: ErrorKind.INTERNAL,
    pycurl.E_FAILED_INIT: ErrorKind.INTERNAL,
    pycurl.E_BAD_FUNCTION_ARGUMENT: ErrorKind.INTERNAL,
}


class Handle:
    """Sends one message at a time and collects what comes back, within bounds."""

    def __init__(self, guard: EgressGuard) -> None:
        self.curl = pycurl.Curl()
        self._guard = guard
        self._header_lines: list[bytes] = []
        self._chunks: list[bytes] = []
        self._body_bytes = 0
        self._room = KEPT_BODY_BYTES
        self._refused = ""
        self._opened = False
        self._error: TransferError | None = None
        self._verifies_tls = True
        self._method = ""
        self._has_body = False
        self._timeout_ms = 0
        for option, value in self._constant_options():
            self.curl.setopt(option, value)

    def _constant_options(self) -> list[tuple[int, Any]]:
        http = pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS
        return [
            (pycurl.NOSIGNAL, 1),
            (pycurl.PROXY, ""),
            (pycurl.USERAGENT, f"chronos/{__version__}"),
            (pycurl.PROTOCOLS, http),
            (pycurl.REDIR_PROTOCOLS, http),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.CAINFO, certifi.where()),
            (pycurl.MAXLIFETIME_CONN, _MAX_CONNECTION_AGE_SECONDS),
            (pycurl.OPENSOCKETFUNCTION, self._open_socket),
            (pycurl.PREREQFUNCTION, self._before_request),
            # A list's own method costs no Python frame for each line. libcurl gives up above
            # 300 KiB of header (its MAX_HTTP_RESP_HEADER_SIZE).
            (pycurl.HEADERFUNCTION, self._header_lines.append),
            (pycurl.WRITEFUNCTION, self._take_body),
        ]

    def prepare(self, message: Message, *, timeout_seconds: float, verify_tls: bool) -> None:
        """Set up the next transfer, which has ``timeout_seconds`` from connecting to the end.

        Raises ``pycurl.error``, ``UnicodeError`` or ``TypeError`` for what libcurl cannot send.
        """
        self._header_lines.clear()
        self._chunks.clear()
        self._body_bytes = 0
        self._room = KEPT_BODY_BYTES
        self._refused, self._opened, self._error = "", False, None
        self._set_method(message)
        setopt = self.curl.setopt
        setopt(pycurl.URL, message.url)
        setopt(pycurl.HTTPHEADER, message.headers)
        timeout_ms = max(1, int(timeout_seconds * 1000))
        if timeout_ms != self._timeout_ms:
            setopt(pycurl.TIMEOUT_MS, timeout_ms)
            setopt(pycurl.CONNECTTIMEOUT_MS, min(timeout_ms, _CONNECT_TIMEOUT_MS))
            self._timeout_ms = timeout_ms
        if verify_tls != self._verifies_tls:
            setopt(pycurl.SSL_VERIFYPEER, int(verify_tls))
            setopt(pycurl.SSL_VERIFYHOST, 2 if verify_tls else 0)
            self._verifies_tls = verify_tls

    def _set_method(self, message: Message) -> None:
        setopt = self.curl.setopt
        method, has_body = message.method, message.body is not None
        if method != self._method or has_body != self._has_body:
            if method == "HEAD":
                setopt(pycurl.NOBODY, 1)
            else:
                setopt(pycurl.POST if has_body else pycurl.HTTPGET, 1)
            setopt(pycurl.CUSTOMREQUEST, method)
            self._method, self._has_body = method, has_body
        if has_body:
            setopt(pycurl.POSTFIELDS, message.body)

    def _open_socket(self, _purpose: int, address: Any) -> int:
        """Make the socket for a connection to ``address``, if it may be reached."""
        if address.family not in (socket.AF_INET, socket.AF_INET6):
            self._refused = "A local socket"
            return _BAD_SOCKET
        ip: str = address.addr[0]
        if not self._guard.permits(ip):
            self._refused = ip
            return _BAD_SOCKET
        try:
            descriptor = socket.socket(address.family, address.socktype, address.protocol).detach()
        except OSError as error:
            self._error = TransferError(ErrorKind.INTERNAL, f"No socket could be made: {error}")
            return _BAD_SOCKET
        self._opened = True
        return descriptor

    def _before_request(self, ip: str, _local_ip: str, _port: int, _local_port: int) -> int:
        """Look at the peer once more: a connection that is used again was not opened just now."""
        if self._guard.permits(ip):
            return _MAY_PROCEED
        self._refused, self._opened = ip, False
        return _MUST_NOT_PROCEED

    def _take_body(self, chunk: bytes) -> int | None:
        self._body_bytes += len(chunk)
        if self._room > 0:
            self._chunks.append(chunk[: self._room])
            self._room -= len(chunk)
        if self._body_bytes > MAX_BODY_BYTES:
            self._error = _TOO_LARGE
            return _ABORT
        return None

    def status(self) -> int | None:
        """Return the status code, if a response came."""
        return self.curl.getinfo(pycurl.RESPONSE_CODE) or None

    def redirect_url(self) -> str | None:
        """Return the absolute URL that the response's ``Location`` leads to."""
        url: str | None = self.curl.getinfo(pycurl.REDIRECT_URL)
        return url

    def total_ms(self) -> float:
        """Return how long the transfer took, in milliseconds."""
        microseconds: int = self.curl.getinfo(pycurl.TOTAL_TIME_T)
        return microseconds / 1000

    def result(
        self,
        error: TransferError | None,
        *,
        started_at: datetime,
        duration_ms: float,
        redirects: Sequence[str],
    ) -> Result:
        """Return what became of a flight whose last transfer this was."""
        getinfo = self.curl.getinfo
        status = self.status()
        timing_ms = {name: getinfo(option) / 1000 for name, option in _TIMINGS}
        if status is None:
            # libcurl puts the moment of failure here, but no byte came.
            timing_ms["first_byte"] = 0.0
        is_cut = error is not None and error.kind is ErrorKind.TOO_LARGE
        result = Result(
            started_at=started_at,
            duration_seconds=duration_ms / 1000,
            http_status=status,
            header_lines=tuple(self._header_lines),
            body=b"".join(self._chunks),
            truncated=is_cut or self._body_bytes > KEPT_BODY_BYTES,
            error=error,
            timing_ms=timing_ms,
            redirects=redirects,
        )
        # An idle handle holds no answer.
        self._header_lines.clear()
        self._chunks.clear()
        return result

    def error(self, code: int, message: str) -> TransferError:
        """Return what libcurl's result ``code`` with its ``message`` means."""
        if self._refused and not self._opened:
            return TransferError(ErrorKind.REFUSED_BY_EGRESS, self._guard.refusal(self._refused))
        if self._error:
            return self._error
        return TransferError(_KINDS.get(code, ErrorKind.PROTOCOL), message or f"libcurl: {code}")


_TOO_LARGE: Final = TransferError(
    ErrorKind.TOO_LARGE, f"The response's body is larger than {MAX_BODY_BYTES >> 20} MiB"
)

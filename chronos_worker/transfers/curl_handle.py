"""One libcurl easy handle, used for one transfer after another.

Setting up a request costs as much as sending it. So constant options are set once, and callbacks
are bound once. All of this runs on the engine's thread.
"""

import socket
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import certifi
import pycurl

from chronos_common import __version__
from chronos_worker import exhaustion
from chronos_worker.http import response_headers
from chronos_worker.http.request import HttpMessage
from chronos_worker.transfers import errors
from chronos_worker.transfers.egress import EgressGuard
from chronos_worker.transfers.kept_connections import Ends, KeptConnections
from chronos_worker.transfers.results import ErrorKind, TransferError, TransferResult

#: A larger body ends the transfer.
MAX_BODY_BYTES: Final = 1 << 20
#: The start of the body, for the history.
KEPT_BODY_BYTES: Final = 64 << 10
_CONNECT_TIMEOUT_MS: Final = errors.CONNECT_TIMEOUT_SECONDS * 1000
# Kept connections end, so that changes of DNS are noticed.
_MAX_CONNECTION_AGE_SECONDS: Final = 300
# Connections idle for longer are closed. ``kept_connections`` allows reuse for less time.
_MAX_IDLE_SECONDS: Final = 2

# Interim responses (1xx) are no answer, except 101, after which no other one comes.
_LOWEST_STATUS: Final = HTTPStatus.OK.value
_SWITCHING: Final = HTTPStatus.SWITCHING_PROTOCOLS.value

_ABORT: Final = -1
# pycurl has no type hints.
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


class CurlHandle:
    """Sends one message at a time and collects the answer, within bounds."""

    def __init__(self, guard: EgressGuard, connections: KeptConnections) -> None:
        self.curl = pycurl.Curl()
        self._guard = guard
        self._connections = connections
        self._header_lines: list[bytes] = []
        self._chunks: list[bytes] = []
        self._body_bytes = 0
        self._room = KEPT_BODY_BYTES
        self._refused_port: int | None = None
        self._address: tuple[int, Any] | None = None
        self._opened: list[int] = []
        self._ends: Ends = ()
        self._has_left = False
        #: Nothing was sent, because the kept connection had ended. A new one may work.
        self.met_ended_connection = False
        self._error: TransferError | None = None
        self._is_fresh = False
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
            (pycurl.MAXAGE_CONN, _MAX_IDLE_SECONDS),
            (pycurl.OPENSOCKETFUNCTION, self._open_socket),
            (pycurl.PREREQFUNCTION, self._before_request),
            # The method of a list needs no Python frame for each line. libcurl limits a header
            # to 300 KiB (its MAX_HTTP_RESP_HEADER_SIZE).
            (pycurl.HEADERFUNCTION, self._header_lines.append),
            (pycurl.WRITEFUNCTION, self._take_body),
        ]

    def prepare(
        self, message: HttpMessage, *, timeout_seconds: float, verify_tls: bool, is_fresh: bool
    ) -> None:
        """Set up the next hop, which has ``timeout_seconds`` from connecting to the end.

        With ``is_fresh`` it opens a new connection. Raises ``pycurl.error``, ``UnicodeError`` or
        ``TypeError`` for a message that libcurl cannot send.
        """
        self._header_lines.clear()
        self._chunks.clear()
        self._body_bytes = 0
        self._room = KEPT_BODY_BYTES
        self._opened.clear()
        self._refused_port = None
        self._address = None
        self._has_left, self.met_ended_connection, self._error = False, False, None
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
        if is_fresh != self._is_fresh:
            setopt(pycurl.FRESH_CONNECT, int(is_fresh))
            self._is_fresh = is_fresh

    def _set_method(self, message: HttpMessage) -> None:
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
        """Open a socket for a connection to ``address``, if the egress guard permits it.

        After the request has left, no other socket is opened: libcurl would repeat the request.
        """
        if self._has_left:
            self._error = errors.NO_ANSWER
            return _BAD_SOCKET
        if address.family not in (socket.AF_INET, socket.AF_INET6):
            self._refused_port = 0
            return _BAD_SOCKET
        ip, port = address.addr[:2]
        self._address = address.family, address.addr
        try:
            if not self._guard.permits_new(ip, port):
                self._refused_port = port
                return _BAD_SOCKET
            descriptor = socket.socket(address.family, address.socktype, address.protocol).detach()
        except OSError as error:
            self._error = errors.without_socket(error)
            return _BAD_SOCKET
        self._opened.append(descriptor)
        return descriptor

    def _before_request(self, *ends: Any) -> int:
        """Permit one request for each hop, to an address that the egress guard permits.

        libcurl also calls this before it repeats a request on another connection.
        """
        ip, _, port, _ = ends
        if not self._guard.permits(ip, port):
            # A kept connection, which was opened for an earlier request.
            self._refused_port = port
            self._opened.clear()
        elif self._has_left:
            self._error = errors.NO_ANSWER
        elif self._opened:
            self._connections.add(ends, self._opened)
            self._ends = ends
            self._has_left = True
            return _MAY_PROCEED
        elif self._is_fresh or self._connections.may_carry_another(ends):
            self._has_left = True
            return _MAY_PROCEED
        else:
            self.met_ended_connection = True
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
        """Return the status code, if a final response came."""
        status: int = self.curl.getinfo(pycurl.RESPONSE_CODE)
        return status if status >= _LOWEST_STATUS or status == _SWITCHING else None

    def total_ms(self) -> float:
        """Return the duration of the hop in milliseconds."""
        microseconds: int = self.curl.getinfo(pycurl.TOTAL_TIME_T)
        return microseconds / 1000

    def result(
        self,
        problem: TransferError | None,
        *,
        started_at: datetime,
        duration_ms: float,
        redirects: Sequence[str],
    ) -> TransferResult:
        """Return the result of a transfer whose last hop this was, and its problem."""
        getinfo = self.curl.getinfo
        status = self.status()
        timing_ms = {name: getinfo(option) / 1000 for name, option in _TIMINGS}
        if status is None:
            # No byte came: libcurl has the moment of the failure here.
            timing_ms["first_byte"] = 0.0
        # A target that is still answering when its time is up has not answered.
        is_late = problem is not None and problem.kind is ErrorKind.TIMEOUT
        is_answered = status is not None and not is_late
        if self._opened and getinfo(pycurl.INFO_HTTP_VERSION) <= pycurl.CURL_HTTP_VERSION_1_1:
            keep_alive = response_headers.of(self._header_lines).first.get("keep-alive", "")
            self._connections.answered_alone(self._ends, keep_alive)
        result = TransferResult(
            started_at=started_at,
            duration_seconds=duration_ms / 1000,
            http_status=status,
            header_lines=tuple(self._header_lines),
            body=b"".join(self._chunks),
            truncated=problem is not None or self._body_bytes > KEPT_BODY_BYTES,
            error=None if is_answered else problem,
            flaw=problem if is_answered else None,
            timing_ms=timing_ms,
            redirects=redirects,
        )
        # An idle handle holds no answer.
        self._header_lines.clear()
        self._chunks.clear()
        return result

    def problem(self, code: int, message: str, *, timeout_seconds: float) -> TransferError:
        """Return the error behind libcurl's result ``code`` for a job of ``timeout_seconds``."""
        if self._refused_port is not None and not self._opened:
            text = self._guard.refusal(self._refused_port)
            return TransferError(ErrorKind.REFUSED_BY_EGRESS, text)
        if self._error:
            return self._error
        if code != pycurl.E_OPERATION_TIMEDOUT:
            error = errors.error_of(code, message)
            return error if self._has_left else self._before_sending(code, error)
        if self._has_left:
            return errors.timed_out(timeout_seconds)
        is_ours = self.total_ms() < self._timeout_ms
        return errors.not_connected(None if is_ours else timeout_seconds)

    def _before_sending(self, code: int, error: TransferError) -> TransferError:
        if code == pycurl.E_COULDNT_CONNECT and self._address:
            fault = OSError(self.curl.getinfo(pycurl.OS_ERRNO), error.message)
            if exhaustion.no_port_for(fault, *self._address):
                return error._replace(kind=ErrorKind.WORKER)
        return errors.before_sending(code, error)


_TOO_LARGE: Final = TransferError(
    ErrorKind.TOO_LARGE, f"The answer's body is larger than {MAX_BODY_BYTES >> 20} MiB"
)

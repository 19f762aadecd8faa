"""A web server on loopback for the sample jobs to call: it answers with the request.

``/echo`` answers 200, ``/status/<code>`` that code, ``/slow`` after two seconds, and ``/flaky``
500 twice and then 200 for each ``webhook-id``, so that a retry can be watched.
"""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_HOST = "127.0.0.1"
_SLOW_SECONDS = 2.0
_IDLE_SECONDS = 60
_MAX_BODY_BYTES = 1 << 20
_MAX_REMEMBERED = 10_000
_FAILURES_BEFORE_SUCCESS = 2


@contextmanager
def serve(preferred_port: int) -> Iterator[str]:
    """Run the server in threads and yield its address. If the port is taken, use a free one."""
    try:
        server = _EchoServer((_HOST, preferred_port), _EchoHandler)
    except (OSError, OverflowError):
        server = _EchoServer((_HOST, 0), _EchoHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="echo", daemon=True)
    thread.start()
    try:
        yield f"http://{_HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _EchoServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._tries: OrderedDict[str, int] = OrderedDict()
        self._tries_lock = threading.Lock()

    def tries(self, webhook_id: str) -> int:
        """Count this try of ``webhook_id`` and return how many there were."""
        with self._tries_lock:
            count = self._tries.pop(webhook_id, 0) + 1
            self._tries[webhook_id] = count
            if len(self._tries) > _MAX_REMEMBERED:
                self._tries.popitem(last=False)
            return count


class _EchoHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server: _EchoServer

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        size = int(length) if length.isdecimal() else 0
        if size > _MAX_BODY_BYTES:
            self.close_connection = True
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {})
            return
        body = self.rfile.read(size).decode(errors="replace")
        url = urlsplit(self.path)
        echoed = {
            "method": self.command,
            "path": url.path,
            "params": parse_qs(url.query),
            "headers": dict(self.headers.items()),
            "body": body,
        }
        self._answer(self._status_for(url.path), echoed)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - http.server calls these

    def _status_for(self, path: str) -> int:
        match path.strip("/").split("/"):
            case ["echo"]:
                return HTTPStatus.OK
            case ["slow"]:
                time.sleep(_SLOW_SECONDS)
                return HTTPStatus.OK
            case ["flaky"]:
                failed = self.server.tries(self.headers.get("webhook-id", ""))
                enough = failed > _FAILURES_BEFORE_SUCCESS
                return HTTPStatus.OK if enough else HTTPStatus.INTERNAL_SERVER_ERROR
            case ["status", code] if code.isdecimal() and 200 <= int(code) <= 599:  # noqa: PLR2004 - RFC 9110, section 15
                return int(code)
            case _:
                return HTTPStatus.NOT_FOUND

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing: the demo shows each execution."""

"""What ``chronos doctor`` says of the API, by its answer."""

import json
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from chronos_common.doctor.api import api
from chronos_common.doctor.findings import Level


@pytest.fixture
def address() -> Iterator[str]:
    """A server in the place of the API: ``/<name>/api/v1/ready`` answers by that name."""
    answers = {
        "ready": {"status": "ready", "checks": [{"name": "redis", "ok": True, "detail": "-"}]},
        "not_ready": {
            "status": "not ready",
            "checks": [
                {"name": "database", "ok": True, "detail": "-"},
                {"name": "redis", "ok": False, "detail": "Redis does not\nanswer."},
            ],
        },
        "list": [],
        "strings": {"checks": ["redis"]},
        "endless": "x" * 10_000_000,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, _, path = self.path[1:].partition("/")
            assert path == "api/v1/ready"
            self.send_response(503 if name == "not_ready" else 200)
            self.end_headers()
            text = "[" * 60_000 if name == "deep" else json.dumps(answers.get(name, "<html>"))
            with suppress(OSError):
                self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("name", "level", "says"),
    [
        ("ready", Level.OK, "is ready"),
        ("not_ready", Level.WARNING, "not ready. redis: Redis does not answer."),
        ("list", Level.WARNING, "Something else"),
        ("strings", Level.WARNING, "Something else"),
        ("endless", Level.WARNING, "Something else"),
        ("deep", Level.WARNING, "Something else"),
        ("page", Level.WARNING, "Something else"),
    ],
)
def test_it_asks_the_api_whether_it_is_ready(
    address: str, name: str, level: Level, says: str
) -> None:
    [found] = api(f"{address}/{name}/")
    assert (found.topic, found.level, bool(found.remedy)) == ("api", level, level != Level.OK)
    assert says in found.says

"""The API over HTTP, and the client and the command line in front of it."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import Engine, text
from werkzeug.serving import WSGIRequestHandler, make_server

from chronos_client.client import Chronos
from chronos_client.commands.program import chronos as program
from chronos_client.models import SCOPES
from integration.api.callers import Caller

Run = Callable[..., Result]


class QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # so that connections are kept, as the real server keeps them

    def log(self, *_args: object) -> None:
        """Write nothing."""


@pytest.fixture(scope="session")
def url(app: Flask) -> Iterator[str]:
    """The address of the application, served over HTTP."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def key(caller: Caller) -> str:
    """An API key of the caller with every scope."""
    answer = caller.post("keys", {"name": "Test", "scopes": list(SCOPES)})
    assert answer.json is not None
    return str(answer.json["key"])


@pytest.fixture
def client(url: str, key: str) -> Iterator[Chronos]:
    with Chronos(url, key) as made:
        yield made


@contextmanager
def server_logs_on_standard_error() -> Iterator[None]:
    """Keep the application, which runs in this process, from writing into the command's output."""
    before = structlog.get_config()["logger_factory"]
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))
    yield
    structlog.configure(logger_factory=before)


@dataclass(frozen=True)
class Place:
    """The environment of a command line."""

    variables: dict[str, str]


@pytest.fixture
def place(url: str, key: str, tmp_path: Path) -> Place:
    return Place(
        {
            "CHRONOS_URL": url,
            "CHRONOS_API_KEY": key,
            "CHRONOS_PROFILES_FILE": str(tmp_path / "profiles.json"),
        }
    )


@pytest.fixture
def run(place: Place) -> Run:
    """Run the command line in this process."""

    def invoke(*arguments: str, typed: str | None = None, **environment: str | None) -> Result:
        variables = {**place.variables, **environment}
        with server_logs_on_standard_error():
            return CliRunner().invoke(program, arguments, input=typed, env=variables)

    return invoke


def end(
    db: Engine,
    execution_id: str,
    status: str,
    *,
    error: str | None = None,
    reason: str | None = None,
) -> None:
    """End an execution as a worker would."""
    with db.begin() as connection:
        connection.execute(
            text(
                "UPDATE executions SET status = :status, started_at = now(), finished_at = now(),"
                " error = :error, reason = :reason WHERE id = :id"
            ),
            {"status": status, "id": execution_id, "error": error, "reason": reason},
        )

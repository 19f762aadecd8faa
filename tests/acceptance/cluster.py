"""Chronos as it is deployed: its processes, on this test's own database and Valkey."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

import programs
from child_processes import inherited_environment
from chronos_common.embedded.processes import ports
from programs import Process
from rigs import wait_until

EMAIL, PASSWORD = "user@example.com", "SecurePass123!"
START_SECONDS = 60
STOP_SECONDS = 30


@dataclass
class Cluster:
    """The processes of an installation, and a user's view of its API."""

    environment: Mapping[str, str]
    log_dir: Path
    api_url: str
    processes: list[Process] = field(default_factory=list)
    session: requests.Session = field(default_factory=requests.Session)

    def start(self, *arguments: str, **settings: str) -> Process:
        """Start ``chronos`` with these arguments, and ``CHRONOS_*`` settings of its own."""
        ours = {f"CHRONOS_{name}": value for name, value in settings.items()}
        log = self.log_dir / f"{len(self.processes)}-{arguments[0]}.log"
        process = programs.start(arguments, {**self.environment, **ours}, log)
        self.processes.append(process)
        return process

    def wait_until_ready(self) -> None:
        """Wait until the API says that everything is there, then log in as the operator."""
        wait_until(self._is_ready, within=START_SECONDS)
        # With a mail server, an account that registers waits for an e-mail.
        password_file = self.log_dir / "password"
        password_file.write_text(PASSWORD)
        creation = ("admin", "create", EMAIL, "--password-file", str(password_file))
        account = programs.start(creation, self.environment, self.log_dir / "account.log")
        assert account.wait(START_SECONDS) == 0, self.logs()
        tokens = self.call("POST", "/api/v1/auth/login", {"email": EMAIL, "password": PASSWORD})
        self.session.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    def _is_ready(self) -> bool:
        for process in self.processes:
            assert process.poll() is None, self.logs()
        try:
            return requests.get(f"{self.api_url}/api/v1/ready", timeout=5).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    def call(self, method: str, path: str, body: object = None, *, expect: int = 200) -> Any:
        """Send a request to the API and return the JSON of its answer."""
        answer = self.session.request(method, f"{self.api_url}{path}", json=body, timeout=15)
        assert answer.status_code == expect, f"{answer.status_code} {answer.text}\n{self.logs()}"
        return answer.json() if answer.content else None

    def create(self, **job: Any) -> str:
        """Create a job and return its id."""
        return str(self.call("POST", "/api/v1/jobs", job, expect=201)["id"])

    def executions(self, job_id: str) -> list[dict[str, Any]]:
        """Return the job's executions, the earliest first."""
        path = f"/api/v1/jobs/{job_id}/executions?limit=100"
        answer = self.call("GET", path)
        found: list[dict[str, Any]] = answer["items"]
        while answer["next_cursor"]:
            answer = self.call("GET", f"{path}&cursor={answer['next_cursor']}")
            found += answer["items"]
        return found[::-1]

    def wait_for(
        self, job_id: str, condition: Callable[[list[dict[str, Any]]], bool], *, within: float = 30
    ) -> list[dict[str, Any]]:
        """Wait until the job's executions fulfil ``condition``, and return them."""
        wait_until(lambda: condition(self.executions(job_id)), within=within)
        return self.executions(job_id)

    def stop(self) -> None:
        """Stop everything with SIGTERM; each process ends well and in time."""
        living = [process for process in self.processes if process.poll() is None]
        for process in living:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        late = [p for p in living if _wait(p, deadline - time.monotonic()) is None]
        for process in late:
            process.kill()
            process.wait()
        assert not late, self.logs()
        assert [process.returncode for process in living] == [0] * len(living), self.logs()

    def logs(self) -> str:
        """Return the last lines of each process's log."""
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-25:])
            for path in sorted(self.log_dir.glob("*.log"))
        )


def _wait(process: Process, seconds: float) -> int | None:
    try:
        return process.wait(max(seconds, 0))
    except subprocess.TimeoutExpired:
        return None


@contextmanager
def running(
    folder: Path,
    *,
    database_url: str,
    redis_url: str,
    schedulers: int = 1,
    workers: int = 1,
    **settings: str,
) -> Iterator[Cluster]:
    """Run an installation on migrated servers; ``settings`` are ``CHRONOS_*`` without prefix."""
    port = ports.free()
    ours = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": "a secret of the tests, at least 32 bytes",
        "DATA_DIR": str(folder),
        "API_PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "EGRESS_ALLOW": "127.0.0.0/8",
        "SHUTDOWN_GRACE_SECONDS": "5",
        **settings,
    }
    environment = inherited_environment() | {
        f"CHRONOS_{name}": value for name, value in ours.items()
    }
    cluster = Cluster(environment, folder, f"http://127.0.0.1:{port}")
    try:
        cluster.start("api")
        for _ in range(schedulers):
            cluster.start("scheduler")
        for _ in range(workers):
            cluster.start("worker")
        cluster.wait_until_ready()
        yield cluster
        cluster.stop()
    finally:
        for process in cluster.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        cluster.session.close()

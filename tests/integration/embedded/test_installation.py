"""What ``chronos up`` makes of its options and of the environment."""

import os
from pathlib import Path

import pytest
from sqlalchemy.pool import QueuePool

from child_processes import inherited_environment
from chronos_api import connections
from chronos_common import setting_types, settings
from chronos_common.embedded.data_folder import remembered
from chronos_common.embedded.installation import (
    CONNECTIONS_BESIDE_THREADS,
    CONNECTIONS_OF_A_SERVICE,
    LOOPBACK,
    Installation,
    configure,
)
from chronos_common.embedded.servers.servers import Servers
from chronos_scheduler.service import Scheduler
from chronos_worker.service import Worker

SERVERS = Servers("postgresql://chronos@127.0.0.1:5/chronos", "redis://127.0.0.1:6/0")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test change the environment of nobody else."""
    monkeypatch.setattr(os, "environ", inherited_environment())


def installed(folder: Path, host: str = "127.0.0.1", **options: int) -> Installation:
    return configure({"DATA_DIR": folder, "API_HOST": host, "API_PORT": None}, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),  # noqa: S104 - nothing is bound
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
        ("scheduler.example", "http://scheduler.example:8080"),
    ],
)
def test_the_address_is_one_that_this_machine_reaches(
    tmp_path: Path, host: str, address: str
) -> None:
    assert installed(tmp_path, host).address == address
    assert settings.given("PUBLIC_URL") == address


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_webhooks_may_call_the_machine_whose_users_alone_reach_the_api(
    tmp_path: Path, host: str
) -> None:
    installed(tmp_path, host)
    assert settings.given("EGRESS_ALLOW") == LOOPBACK


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "scheduler.example"])  # noqa: S104 - nothing is bound
def test_webhooks_may_not_call_a_machine_that_serves_others(tmp_path: Path, host: str) -> None:
    installed(tmp_path, host)
    assert settings.given("EGRESS_ALLOW") is None


def test_the_demo_may_call_its_own_machine(tmp_path: Path) -> None:
    installed(tmp_path, "192.0.2.1", with_demo=True)
    assert settings.given("EGRESS_ALLOW") == LOOPBACK


def test_what_the_user_set_stays(tmp_path: Path) -> None:
    settings.export(
        {
            "EGRESS_ALLOW": "",
            "PUBLIC_URL": "https://jobs.example",
            "SECRET_KEY": "k" * 32,
            "DATABASE_URL": "postgresql://db.example/chronos",
            "REDIS_URL": "",
        }
    )
    installation = installed(tmp_path)
    assert installation.given.keys() == {"SECRET_KEY", "DATABASE_URL"}
    installation.connect(SERVERS)
    assert settings.given("EGRESS_ALLOW") == ""
    assert settings.given("PUBLIC_URL") == "https://jobs.example"
    assert settings.given("SECRET_KEY") == "k" * 32
    assert not (tmp_path / "secret_key").exists()
    assert remembered(tmp_path) == {
        "REDIS_URL": SERVERS.redis_url,
        "PUBLIC_URL": installation.address,
    }


def test_the_secret_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    installed(tmp_path).connect(SERVERS)
    first = settings.given("SECRET_KEY") or ""
    assert len(first) >= setting_types.MIN_SECRET_BYTES
    settings.export({"SECRET_KEY": ""})
    installed(tmp_path).connect(SERVERS)
    assert settings.given("SECRET_KEY") == first
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0


def test_several_processes_show_their_metrics_on_ports_in_a_row(tmp_path: Path) -> None:
    settings.export({"METRICS_PORT": "9100"})
    programs = installed(tmp_path, workers=2, schedulers=2).programs()
    assert {
        program.name: (program.environment or {})["CHRONOS_METRICS_PORT"] for program in programs
    } == {
        "api": "9104",
        "scheduler-1": "9100",
        "scheduler-2": "9101",
        "worker-1": "9102",
        "worker-2": "9103",
    }


def test_the_words_are_those_that_every_other_deployment_uses(tmp_path: Path) -> None:
    installation = installed(tmp_path)
    programs = [installation.migration(), *installation.programs()]
    words = [" ".join(program.command).partition("chronos_common.cli ")[2] for program in programs]
    assert words == ["db upgrade", "api", "scheduler", "worker"]


def test_postgresql_takes_the_connections_of_all_that_runs(tmp_path: Path) -> None:
    one, many = installed(tmp_path), installed(tmp_path, workers=3, schedulers=2)
    loaded = many.settings
    pool = connections.to_database(loaded).pool
    assert isinstance(pool, QueuePool)
    assert pool.size() <= loaded.api_threads + CONNECTIONS_BESIDE_THREADS
    for service in (Scheduler(loaded), Worker(loaded)):
        assert service._engine.pool.size() <= CONNECTIONS_OF_A_SERVICE
    services = 5 * CONNECTIONS_OF_A_SERVICE
    assert many.connections >= services + loaded.api_workers * pool.size()
    assert many.connections - one.connections == 3 * CONNECTIONS_OF_A_SERVICE

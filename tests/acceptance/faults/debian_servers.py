"""PostgreSQL, Redis and PgBouncer of Debian's packages, as processes of a test's own."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from acceptance.faults.servers import START_SECONDS, OwnServers, upgrade
from chronos_common.embedded.processes import os_user, ports
from chronos_common.embedded.processes.child import Child, Program
from rigs import wait_until

DATABASE = "chronos"
_ROLE = "chronos"
_PASSWORD = "only-for-tests"

_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 120
hot_standby = on
"""
_POOL = """
[databases]
{database} = host=127.0.0.1 port={server} dbname={database}
postgres = host=127.0.0.1 port={server} dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = session
max_client_conn = 500
default_pool_size = 100
auth_type = scram-sha-256
auth_file = {users}
server_login_retry = 1
"""


class Missing(Exception):
    """A program of Debian's packages is not installed."""


def postgres_programs() -> Path:
    """Return the folder of the newest PostgreSQL of Debian. Raises :class:`Missing`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        raise Missing("Install Debian's packages: apt-get install postgresql")
    return found[-1].parent


def program(name: str) -> str:
    """Return the path of a program. Raises :class:`Missing`."""
    found = shutil.which(name, path=f"{os.defpath}:/usr/sbin:/usr/bin")
    if found is None:
        raise Missing(f"Install Debian's packages: {name} is not there")
    return found


@dataclass
class DebianServers:
    """The servers. ``own`` is what a stage needs of them."""

    own: OwnServers
    folder: Path
    ports: dict[str, int]
    standby: Child
    pool: Child

    def promote(self) -> None:
        """Make the standby take changes."""
        _run(self.folder, "pg_ctl", "promote", "-D", str(self.folder / "standby"), "--wait")

    def lead_pool_to_standby(self) -> None:
        """Let the pool connect to the standby from now on."""
        _write_pool(self.folder, self.ports["pool"], self.ports["standby"])
        self.pool.signal(signal.SIGHUP)

    def versions(self) -> str:
        """Return the names and versions of the servers."""
        commands = (
            [str(postgres_programs() / "postgres")],
            [program("redis-server")],
            [program("pgbouncer")],
        )
        said = [
            subprocess.run([*each, "--version"], check=True, capture_output=True, text=True).stdout
            for each in commands
        ]
        return ", ".join(each.splitlines()[0] for each in said)


@contextmanager
def debian_servers(folder: Path, *, way: str) -> Iterator[DebianServers]:
    """Run a primary with a synchronous standby, a pool of sessions and Redis in ``folder``.

    ``way`` is what the clients' URL names: the ``primary``, ``both``, or the ``pool``.
    """
    folder.mkdir(mode=0o711)
    user = os_user.for_servers(folder / "primary")
    if user:
        user.own(folder)
    chosen = {name: ports.free() for name in ("primary", "standby", "pool", "redis")}
    with ExitStack() as stack:
        _create_primary(folder)
        primary = _postgres(folder, "primary", chosen["primary"])
        stack.callback(primary.stop)
        primary.start()
        wait_until(lambda: _answers(folder, chosen["primary"]), within=START_SECONDS)
        _psql(folder, chosen["primary"], f"CREATE DATABASE {DATABASE}")
        _copy_to_standby(folder, chosen["primary"])
        standby = _postgres(folder, "standby", chosen["standby"])
        stack.callback(standby.stop)
        standby.start()
        wait_until(lambda: _answers(folder, chosen["standby"]), within=START_SECONDS)
        # Not in the file, which the standby has, too: once promoted, it waits for nobody.
        _psql(folder, chosen["primary"], "ALTER SYSTEM SET synchronous_standby_names = '*'")
        _psql(folder, chosen["primary"], "SELECT pg_reload_conf()")
        _write_pool(folder, chosen["pool"], chosen["primary"])
        pool = _child(folder, "pool", [program("pgbouncer"), str(folder / "pool.ini")])
        redis = _child(folder, "redis", _redis_command(chosen["redis"]))
        for each in (pool, redis):
            stack.callback(each.stop)
            each.start()
        own = OwnServers(
            folder, primary, redis, _url(chosen, way), f"redis://127.0.0.1:{chosen['redis']}/0"
        )
        wait_until(lambda: _answers(folder, chosen["pool"]), within=START_SECONDS)
        upgrade(own.database_url)
        yield DebianServers(own, folder, chosen, standby, pool)


def _url(chosen: dict[str, int], way: str) -> str:
    login = f"postgresql://{_ROLE}:{_PASSWORD}@"
    if way == "both":
        hosts = "&".join(f"host=127.0.0.1:{chosen[name]}" for name in ("primary", "standby"))
        return f"{login}/{DATABASE}?{hosts}&target_session_attrs=read-write"
    return f"{login}127.0.0.1:{chosen[way]}/{DATABASE}"


def _create_primary(folder: Path) -> None:
    data, secret = folder / "primary", folder / "secret"
    secret.write_text(_PASSWORD)
    secret.chmod(0o644)
    _run(
        folder,
        "initdb",
        f"--pgdata={data}",
        f"--username={_ROLE}",
        f"--pwfile={secret}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
    )
    with (data / "postgresql.conf").open("a") as file:
        file.write(_SETTINGS)


def _copy_to_standby(folder: Path, port: int) -> None:
    _run(
        folder,
        "pg_basebackup",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-U",
        _ROLE,
        "-D",
        str(folder / "standby"),
        "--write-recovery-conf",
        "--checkpoint=fast",
    )


def _postgres(folder: Path, name: str, port: int) -> Child:
    command = [str(postgres_programs() / "postgres"), "-D", str(folder / name), "-p", str(port)]
    return _child(folder, name, command, stopping=((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0)))


def _redis_command(port: int) -> list[str]:
    return [
        program("redis-server"),
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--save",
        "",
        "--appendonly",
        "no",
    ]


def _child(
    folder: Path,
    name: str,
    command: list[str],
    stopping: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 5.0),),
) -> Child:
    return Child(
        Program(
            name=name,
            command=command,
            folder=folder,
            environment=_ENVIRONMENT,
            stopping=stopping,
            user=os_user.for_servers(folder / "primary"),
        )
    )


_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "PGPASSWORD": _PASSWORD}


def _run(folder: Path, name: str, *arguments: str) -> None:
    """Run a program of PostgreSQL as the user of the servers."""
    user = os_user.for_servers(folder / "primary")
    who = {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}
    subprocess.run(
        [str(postgres_programs() / name), *arguments],
        check=True,
        capture_output=True,
        env=_ENVIRONMENT,
        cwd=folder,
        **who,
    )


def _psql(folder: Path, port: int, statement: str) -> None:
    _run(
        folder,
        "psql",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-U",
        _ROLE,
        "-d",
        "postgres",
        "-c",
        statement,
    )


def _answers(folder: Path, port: int) -> bool:
    try:
        _psql(folder, port, "SELECT 1")
    except subprocess.CalledProcessError:
        return False
    return True


def _write_pool(folder: Path, port: int, server: int) -> None:
    users = folder / "users"
    users.write_text(f'"{_ROLE}" "{_PASSWORD}"\n')
    configuration = _POOL.format(database=DATABASE, server=server, port=port, users=users)
    (folder / "pool.ini").write_text(configuration)

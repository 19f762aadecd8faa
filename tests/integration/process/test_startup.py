"""What keeps a command from starting is one line with a remedy, whatever the command."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from psycopg2 import OperationalError
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from child_processes import inherited_environment
from chronos_common import setting_types
from chronos_common.broker import connect_redis
from chronos_common.doctor import servers
from chronos_common.embedded import data_folder
from chronos_common.embedded.processes import ports
from chronos_common.migrations import revisions
from chronos_common.process import startup
from chronos_common.storage.postgres import availability
from chronos_common.storage.postgres.database import connect

REFUSAL = b'SFATAL\x00C28P01\x00Mpassword authentication failed for user "chronos"\x00\x00'


def _chronos(*words: str, **given: str) -> "subprocess.CompletedProcess[str]":
    ours = {"REDIS_URL": "redis://127.0.0.1:1/0", "SECRET_KEY": "x" * 32, **given}
    return subprocess.run(
        [sys.executable, "-m", "chronos_common.cli", *words],
        env=inherited_environment() | {f"CHRONOS_{name}": value for name, value in ours.items()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def refusing() -> Iterator[str]:
    """The URL of a server that refuses every password, as PostgreSQL does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                if b"\x04\xd2\x16\x2f" in connection.recv(1024):  # asks for TLS
                    connection.sendall(b"N")
                    connection.recv(1024)
                connection.sendall(b"E" + (len(REFUSAL) + 4).to_bytes(4, "big") + REFUSAL)

    thread = Thread(target=refuse)
    thread.start()
    yield f"postgresql://chronos:hidden@127.0.0.1:{listener.getsockname()[1]}/chronos"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


@pytest.fixture
def faulty(database_url: str, refusing: str) -> Callable[[str], str]:
    """Returns the URL of a database with a fault."""

    def url_of(fault: str) -> str:
        url = make_url(database_url)
        match fault:
            case "refused":
                return f"postgresql://chronos@127.0.0.1:{ports.free()}/chronos"
            case "password":
                return refusing
            case "missing":
                url = url.set(database="nowhere")
            case "tls":
                url = url.update_query_dict({"sslmode": "require"})
            case "user":
                url = url.set(username="nobody_here")
            case "old":
                engine = connect(database_url, name="test", pool_size=1)
                with engine.begin() as connection:
                    older = {"older": revisions.known()[-2]}
                    connection.execute(
                        text("UPDATE alembic_version SET version_num=:older"), older
                    )
                engine.dispose()
        return url.render_as_string(hide_password=False)

    return url_of


FAULTS = {
    "refused": ("PostgreSQL does not answer: ", "Start it, or correct the address"),
    "password": ("PostgreSQL refuses the user: ", "Correct the user and the password"),
    "missing": ("PostgreSQL has no such database: ", "Create it with 'createdb'"),
    "user": ("PostgreSQL refuses the user: ", "Correct the user and the password"),
    "tls": ("PostgreSQL and Chronos do not agree on encryption: ", "Correct sslmode"),
    "old": ("The schema is at revision ", "with 'chronos db upgrade'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_api_says_it_and_goes_on(
    faulty: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(startup, "_log", SimpleNamespace(error=logged.append))
    url = setting_types.database_url(faulty(fault))
    startup.warn_without_database(SimpleNamespace(database_url=url))
    assert all(text in logged[0] for text in FAULTS[fault])


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", ["scheduler", "worker"])
def test_a_service_ends_with_one_line_of_its_log(
    faulty: Callable[[str], str], command: str, fault: str
) -> None:
    answer = _chronos(command, DATABASE_URL=faulty(fault))
    assert (answer.returncode, answer.stdout) == (2, "")
    [line] = answer.stderr.splitlines()
    says, remedy = FAULTS[fault]
    told = json.loads(line)
    assert told["level"] == "critical"
    assert says in told["event"]
    assert remedy in told["event"]
    assert "hidden" not in line


#: ``db upgrade`` and ``up`` mend an old schema.
COMMANDS = [
    *(((*words,), fault) for words in (("db", "upgrade"), ("up",)) for fault in list(FAULTS)[:-1]),
    *((("admin", "reset-second-factor", "a@b.example"), fault) for fault in ("refused", "old")),
]


@pytest.mark.parametrize(("words", "fault"), COMMANDS)
def test_a_command_ends_with_one_sentence(
    faulty: Callable[[str], str], tmp_path: Path, words: tuple[str, ...], fault: str
) -> None:
    given = {"DATA_DIR": str(tmp_path / "data"), "API_PORT": str(ports.free())}
    answer = _chronos(*words, DATABASE_URL=faulty(fault), **given)
    assert answer.returncode == 2, answer.stderr
    [line] = answer.stderr.splitlines()
    says, remedy = FAULTS[fault]
    assert line.startswith("Error: ")
    assert says in line
    assert remedy in line
    assert "hidden" not in line


@pytest.mark.parametrize("fault", FAULTS)
def test_the_doctor_says_it_with_the_same_remedy(
    faulty: Callable[[str], str], redis_url: str, fault: str
) -> None:
    answer = _chronos("doctor", "--json", DATABASE_URL=faulty(fault), REDIS_URL=redis_url)
    assert answer.returncode == 2, answer.stderr
    problems = [
        each for each in json.loads(answer.stdout)["findings"] if each["level"] == "problem"
    ]
    topic = "schema" if fault == "old" else "database"
    [remedy] = [each["remedy"] for each in problems if each["topic"] == topic]
    assert FAULTS[fault][1].removeprefix("with ") in remedy


def test_the_doctor_of_a_chronos_up_that_is_stopped_says_how_to_start_it(tmp_path: Path) -> None:
    data_folder.remember(
        tmp_path,
        {
            "DATABASE_URL": f"postgresql://chronos@127.0.0.1:{ports.free()}/chronos",
            "REDIS_URL": f"redis://127.0.0.1:{ports.free()}/0",
        },
    )
    answer = _chronos("doctor", "--data-dir", str(tmp_path))
    assert answer.returncode == 2
    assert f"'chronos up --data-dir {tmp_path}'" in answer.stdout


def test_a_newer_schema_and_the_right_one_can_be_worked_with(
    new_database: Callable[[], AbstractContextManager[str]],
) -> None:
    with new_database() as url:
        engine = connect(url, name="test", pool_size=1)
        availability.require(engine)
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        availability.require(engine)
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE alembic_version"))
        with pytest.raises(availability.DatabaseUnusable, match="no schema yet"):
            availability.require(engine)
        engine.dispose()


def _upgraded(url: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return _chronos("db", "upgrade", *words, DATABASE_URL=url)


def test_an_upgrade_names_the_revision_that_the_schema_has(database_url: str) -> None:
    oldest, newest = revisions.known()[0], revisions.known()[-1]
    for words in ((), ("--revision", newest), ("--revision", oldest)):
        answer = _upgraded(database_url, *words)
        assert answer.stdout == f"The schema is at revision {newest}.\n", answer.stderr


def test_an_upgrade_leaves_the_schema_of_a_newer_version_as_it_is(
    new_database: Callable[[], AbstractContextManager[str]],
) -> None:
    with new_database() as url:
        engine = connect(url, name="test", pool_size=1)
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        engine.dispose()
        answer = _upgraded(url)
    assert answer.stdout == "The schema is at revision 9999.\n", answer.stderr


def test_an_upgrade_to_an_unknown_revision_names_the_known_ones(database_url: str) -> None:
    answer = _upgraded(database_url, "--revision", "9999")
    assert answer.returncode == 2
    [line] = answer.stderr.splitlines()
    assert line.startswith("Error: There is no revision '9999' of the schema; ")
    assert f"from {revisions.known()[0]} to {revisions.known()[-1]}" in line


def _redis_with(fault: str, url: str) -> str:
    """Return the URL of a Redis with a fault."""
    match fault:
        case "refused":
            return f"redis://127.0.0.1:{ports.free()}/0"
        case "no password":
            return re.sub(":[^:@]*@", "", url)
        case "password":
            return re.sub(":[^:@]*@", ":hidden@", url)
        case _:
            return re.sub("/[0-9]+$", "/999999", url)


REDIS_FAULTS = {
    "refused": ("Redis does not answer: ", "Start it, or correct CHRONOS_REDIS_URL"),
    "no password": ("Redis refuses the user: ", "Correct the user and the password"),
    "password": ("Redis refuses the user: ", "Correct the user and the password"),
    "number": ("Redis has no such database: ", "Correct the number at the end"),
}


@pytest.mark.parametrize("fault", REDIS_FAULTS)
def test_doctor_and_log_have_the_remedy_for_each_fault_of_redis(
    redis_url: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, logged = _redis_with(fault, redis_url), []
    says, remedy = REDIS_FAULTS[fault]
    with connect_redis(url) as client:
        [found] = servers.redis(client)
    assert found.says.startswith(says)
    assert remedy in str(found.remedy)
    monkeypatch.setattr(startup, "_log", SimpleNamespace(error=logged.append))
    startup.warn_without_redis(SimpleNamespace(redis_url=url))
    assert logged == [f"{found.says} {str(found.remedy).partition(' Nothing starts')[0]}"]
    assert "hidden" not in logged[0]
    assert "\n" not in logged[0]


@pytest.mark.parametrize("command", ["api", "scheduler", "worker"])
def test_a_service_says_that_redis_is_away_and_that_its_port_is_taken(
    database_url: str, redis_url: str, command: str
) -> None:
    """A taken port ends it. It goes on without Redis."""
    redis_url = _redis_with("password", redis_url)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "METRICS_PORT": port}
        answer = _chronos(command, **given, API_PORT=str(ports.free()))
    assert answer.returncode == 2, answer.stderr
    lines = [json.loads(line) for line in answer.stderr.splitlines()]
    [error] = [each["event"] for each in lines if each["level"] == "error"]
    assert all(text in error for text in REDIS_FAULTS["password"])
    told = lines[-1]
    assert told["level"] == "critical"
    assert f"127.0.0.1 port {port}: " in told["event"]
    assert "CHRONOS_METRICS_PORT" in told["event"]


def test_a_setting_that_is_missing_or_of_another_type_says_what_it_must_be() -> None:
    wrong = {"REGISTRATION_OPEN": "maybe", "API_PORT": "eighty", "LOOKAHEAD_SECONDS": "long"}
    answer = _chronos("db", "upgrade", **wrong)
    for line in (
        "CHRONOS_DATABASE_URL: missing; it is required: see Settings in the README",
        "CHRONOS_REGISTRATION_OPEN: must be true or false",
        "CHRONOS_API_PORT: must be a whole number",
        "CHRONOS_LOOKAHEAD_SECONDS: must be a number",
    ):
        assert f"  {line}\n" in answer.stderr


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("FATAL:  the database system is starting up", "Try again"),
        ("FATAL:  sorry, too many clients already", "max_connections"),
        ("FATAL:  no pg_hba.conf entry for host", "user"),
        ("server does not support SSL, but SSL was required", "sslmode"),
        ('could not translate host name "db" to address', "address"),
        ("timeout expired", "address"),
        ("", "address"),
    ],
)
def test_each_refusal_has_its_remedy(said: str, remedy: str) -> None:
    error = DBAPIError("", None, OperationalError(said), connection_invalidated=True)
    fault = availability.explain(error)
    assert fault is not None
    assert remedy in fault.remedy
    assert "\n" not in str(fault)


@pytest.mark.parametrize("command", ["api", "scheduler", "worker"])
def test_wrong_settings_are_one_line_of_the_log(command: str) -> None:
    answer = _chronos(command, LOG_LEVEL="loud", API_PORT="eighty")
    assert answer.returncode == 2
    [line] = answer.stderr.splitlines()
    for name in ("CHRONOS_LOG_LEVEL", "CHRONOS_API_PORT", "CHRONOS_DATABASE_URL"):
        assert name in json.loads(line)["event"]


@pytest.mark.parametrize("words", [("up",), ("db", "upgrade"), ("doctor",), ("worker",)])
def test_every_command_reports_every_wrong_setting(tmp_path: Path, words: tuple[str, ...]) -> None:
    wrong = {"LOG_FORMAT": "pretty", "LOG_LEVEL": "loud", "RETENTION_DAYS": "0"}
    given = {"DATABASE_URL": "mysql://db/x", "DATA_DIR": str(tmp_path / "data")}
    answer = _chronos(*words, **wrong, **given)
    assert answer.returncode == 2
    for name in (*wrong, "DATABASE_URL"):
        assert f"CHRONOS_{name}: " in answer.stderr


def test_a_misspelt_setting_is_told_at_the_start(tmp_path: Path, database_url: str) -> None:
    answer = _chronos(
        "db",
        "upgrade",
        DATABASE_URL=database_url,
        WORKER_TREADS="a hidden value",
        API_PORT="tcp://10.0.0.1:8080",
        DATA_DIR=str(tmp_path),
    )
    assert answer.returncode == 0, answer.stderr
    told = [json.loads(line) for line in answer.stderr.splitlines()]
    assert {each["level"] for each in told} == {"warning"}
    events = " ".join(each["event"] for each in told)
    assert "CHRONOS_WORKER_TREADS is no setting" in events
    assert "CHRONOS_WORKER_THREADS" in events
    assert "CHRONOS_API_PORT describes a Service" in events
    assert "hidden" not in answer.stderr

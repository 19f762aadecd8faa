"""Settings: documented as they are, and refused with a remedy where they are wrong."""

import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from limits import parse_many
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from chronos_common import settings
from chronos_common.broker import celery_app
from chronos_common.domain.addresses import Sender
from chronos_common.errors import SettingsInvalid
from chronos_common.setting_types import OTHER_PROTOCOLS
from chronos_common.settings import Settings
from repository import ROOT

REQUIRED = {
    "CHRONOS_DATABASE_URL": "postgresql://chronos:secret@db.example:5432/chronos",
    "CHRONOS_REDIS_URL": "redis://:secret@redis.example:6379/0",
    "CHRONOS_SECRET_KEY": "0123456789abcdef0123456789abcdef",
}

Load = Callable[[Mapping[str, str]], Settings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Read the settings from the required ones and those that are given."""

    def load_from(given: Mapping[str, str]) -> Settings:
        monkeypatch.setattr(os, "environ", {"HOME": "/home/somebody"} | REQUIRED | dict(given))
        return settings.load()

    return load_from


#: Every setting by the variable that it is read from.
DECLARED = {f"CHRONOS_{name.upper()}": setting for name, setting in settings.DECLARED.items()}


def in_env_example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = [match for line in lines if (match := re.fullmatch(r"#?(CHRONOS_\w+)=(.*)", line))]
    return {match[1]: match[2].strip('"') for match in found}


def in_readme() -> dict[str, tuple[str, str]]:
    """Return the default and the description of each setting in the README's table."""
    lines = (ROOT / "README.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")] for line in lines if "`CHRONOS_" in line]
    return {row[1].strip("`"): (row[2], row[3]) for row in rows if len(row) > 4 and not row[0]}


def defaults_in_readme() -> dict[str, str]:
    return {name: default for name, (default, _) in in_readme().items()}


def test_every_setting_stands_in_the_env_example_and_in_the_readme() -> None:
    assert set(in_env_example()) == set(DECLARED)
    assert list(in_readme()) == list(dict.fromkeys(in_readme()))
    assert set(in_readme()) == set(DECLARED)


def test_the_readme_describes_each_setting_as_its_declaration_does() -> None:
    described = {name: text for name, (_, text) in in_readme().items()}
    assert described == {name: setting.help for name, setting in DECLARED.items()}


def test_the_settings_called_required_are_those_without_a_default() -> None:
    required = {name for name, setting in DECLARED.items() if setting.is_required}
    assert required == set(REQUIRED)
    assert {name for name, text in defaults_in_readme().items() if text == "required"} == required


@pytest.mark.parametrize("documented", [in_env_example, defaults_in_readme])
def test_the_documented_defaults_are_the_true_ones(
    load: Load, documented: Callable[[], dict[str, str]]
) -> None:
    defaults = {name: text.strip("`") for name, text in documented().items()}
    given = {
        name: REQUIRED.get(text, "" if text == "none" else text)
        for name, text in defaults.items()
        if name not in REQUIRED
    }
    assert load(given) == load({})


@pytest.mark.parametrize(
    ("host", "is_open"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],  # noqa: S104
)
def test_registration_is_open_where_only_this_machine_reaches_the_api(
    load: Load, host: str, *, is_open: bool
) -> None:
    assert load({"CHRONOS_API_HOST": host}).registration_open is is_open
    for text in ("true", "false"):
        given = {"CHRONOS_API_HOST": host, "CHRONOS_REGISTRATION_OPEN": text}
        assert load(given).registration_open is (text == "true")


def test_all_wrong_settings_are_reported_at_once_each_with_its_name(load: Load) -> None:
    wrong = {
        "CHRONOS_DATABASE_URL": "mysql://chronos@db/chronos",
        "CHRONOS_SECRET_KEY": "too short",
        "CHRONOS_API_PORT": "eighty",
        "CHRONOS_PLAN_BATCH": "0",
        "CHRONOS_EGRESS_ALLOW": "10.0.0.0/8,everything",
        "CHRONOS_LOG_LEVEL": "loud",
        "CHRONOS_SMTP_URL": "mail.example.com",
        "CHRONOS_PUBLIC_URL": "chronos.example.com",
        "CHRONOS_RATE_LIMIT": "often",
    }
    with pytest.raises(SettingsInvalid) as caught:
        load(wrong)
    lines = str(caught.value).splitlines()[1:]
    assert {line.split(":")[0].strip() for line in lines} == set(wrong)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:other@redis.example/5",
        "rediss://redis.example:6379",
        "amqp://rabbit.example;redis://redis.example",
    ],
)
def test_tasks_need_a_server_of_their_own(load: Load, url: str) -> None:
    """H1: on Chronos's own Redis, tasks that nobody takes stop every job."""
    with pytest.raises(SettingsInvalid, match=r"CHRONOS_TASKS_BROKER_URL.*another server"):
        load({"CHRONOS_TASKS_BROKER_URL": url})


@pytest.mark.parametrize("name", ["REDIS_URL", "TASKS_BROKER_URL"])
@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("rediss://:x@tls.example", "rediss://:x@tls.example?ssl_cert_reqs=required"),
        (
            "rediss://tls.example/1?ssl_ca_certs=/ca.pem",
            "rediss://tls.example/1?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required",
        ),
        *(("rediss://tls.example?ssl_cert_reqs=none",) * 2, ("redis://plain.example/0",) * 2),
    ],
)
def test_certificates_of_redis_are_checked(load: Load, name: str, given: str, used: str) -> None:
    assert getattr(load({f"CHRONOS_{name}": given}), name.lower()) == used


def test_celery_checks_the_certificate_of_redis_as_the_url_says(load: Load) -> None:
    url = load({"CHRONOS_REDIS_URL": "rediss://tls.example"}).redis_url
    with celery_app(url).connection_for_write() as connection:
        assert connection.ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}


def test_tasks_may_have_another_server(load: Load) -> None:
    url = "redis://redis.example:6380/0"
    assert load({"CHRONOS_TASKS_BROKER_URL": url}).tasks_broker_url == url


def test_what_is_required_and_missing_is_reported_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "environ", {})
    with pytest.raises(SettingsInvalid) as caught:
        settings.load()
    for name in REQUIRED:
        assert name in str(caught.value)


def test_a_setting_that_is_missing_is_found_under_its_misspelt_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = dict(REQUIRED)
    given["CHRONOS_DATABSE_URL"] = given.pop("CHRONOS_DATABASE_URL")
    monkeypatch.setattr(os, "environ", given)
    with pytest.raises(SettingsInvalid) as caught:
        settings.load()
    missing, hint = map(str.strip, str(caught.value).splitlines()[-2:])
    assert missing.startswith("CHRONOS_DATABASE_URL: missing")
    assert hint.startswith("CHRONOS_DATABSE_URL")
    assert "CHRONOS_DATABASE_URL" in hint


@pytest.mark.parametrize(
    "given",
    [
        "postgresql://user:p%40ss@db:5432/chronos?sslmode=require",
        "postgresql+psycopg://user:p%40ss@db:5432/chronos?sslmode=require",
        "postgresql+psycopg2://user:p%40ss@db:5432/chronos?sslmode=require",
        "postgres://user:p%40ss@db:5432/chronos?sslmode=require",
    ],
)
def test_the_database_url_names_our_driver_whatever_it_named(load: Load, given: str) -> None:
    expected = "postgresql+psycopg2://user:p%40ss@db:5432/chronos?sslmode=require"
    assert load({"CHRONOS_DATABASE_URL": given}).database_url == expected


@pytest.mark.parametrize(
    ("rest", "is_one"),
    [
        ("", True),
        ("/chronos", True),
        ("db.example", True),
        ("chronos@db.example:5432/chronos?sslmode=require", True),
        ("chronos:p:a/s?s#w[o]rd%40@db.example:5432/chronos", True),
        ("chronos:secret@[::1]:5432/chronos", True),
        ("/chronos?host=/run/postgresql", True),
        ("db.example:port/chronos", False),
        ("db.example:/chronos", False),
    ],
)
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_a_database_url_is_what_sqlalchemy_reads(
    load: Load,
    scheme: str,
    rest: str,
    is_one: bool,  # noqa: FBT001 - a case
) -> None:
    given = {"CHRONOS_DATABASE_URL": f"{scheme}://{rest}"}
    if is_one:
        read = make_url(load(given).database_url)
        asked = make_url(f"postgresql+psycopg2://{rest}")
        assert read == asked
        return
    with pytest.raises((ArgumentError, ValueError)):
        make_url(f"{scheme}://{rest}")
    with pytest.raises(SettingsInvalid, match="CHRONOS_DATABASE_URL: must be like postgresql"):
        load(given)


@pytest.mark.parametrize("name", ["REDIS_URL", "SMTP_URL", "PUBLIC_URL"])
@pytest.mark.parametrize("rest", ["", "host:port", "host:99999", ":6379", "[::1"])
def test_a_url_without_a_host_or_with_a_broken_port_is_refused(
    load: Load, name: str, rest: str
) -> None:
    scheme = {"REDIS_URL": "redis", "SMTP_URL": "smtp", "PUBLIC_URL": "http"}[name]
    with pytest.raises(SettingsInvalid, match=f"CHRONOS_{name}: must be like {scheme}"):
        load({f"CHRONOS_{name}": f"{scheme}://{rest}"})


@pytest.mark.parametrize(("bytes_given", "is_enough"), [(31, False), (32, True)])
def test_a_secret_key_needs_32_bytes(load: Load, bytes_given: int, is_enough: bool) -> None:  # noqa: FBT001 - a parameter of the test
    given = {"CHRONOS_SECRET_KEY": "k" * bytes_given}
    if is_enough:
        assert load(given).secret_key == "k" * bytes_given
        return
    with pytest.raises(SettingsInvalid, match=r"CHRONOS_SECRET_KEY: must have at least 32 bytes"):
        load(given)


def test_a_secret_key_is_counted_in_bytes_not_in_characters(load: Load) -> None:
    assert load({"CHRONOS_SECRET_KEY": "\u00e9" * 16}).secret_key == "\u00e9" * 16


def test_the_allowed_networks_are_parsed(load: Load) -> None:
    assert load({}).egress_allow == ()
    assert load({"CHRONOS_EGRESS_ALLOW": " 10.0.0.0/8, fd00::/8 ,127.0.0.1,"}).egress_allow == (
        ip_network("10.0.0.0/8"),
        ip_network("fd00::/8"),
        ip_network("127.0.0.1/32"),
    )


def test_a_network_with_host_bits_is_refused(load: Load) -> None:
    with pytest.raises(SettingsInvalid, match="CHRONOS_EGRESS_ALLOW: must be a list like"):
        load({"CHRONOS_EGRESS_ALLOW": "10.0.0.1/8"})


def test_a_range_of_ports_leaves_out_other_protocols_unless_each_is_listed(load: Load) -> None:
    def permitted(text: str) -> set[int]:
        ports = load({"CHRONOS_EGRESS_PORTS": text}).egress_ports
        return {port for each in ports for port in each}

    assert permitted("") == set()
    assert permitted(" 80, 443,1024-65535") == {
        *(80, 443),
        *set(range(1024, 65536)) - OTHER_PROTOCOLS,
    }
    assert permitted("6379") == {6379}
    assert permitted("6379-6380") == set()
    assert permitted("6000-7001,6379") == {*set(range(6000, 7002)) - OTHER_PROTOCOLS, 6379}


@pytest.mark.parametrize(
    "text", ["0", "80-", "443-80", "65536", "http", "80;443", "-1", "1-65536"]
)
def test_other_lists_of_ports_are_refused(load: Load, text: str) -> None:
    with pytest.raises(SettingsInvalid, match="CHRONOS_EGRESS_PORTS: must be a list like"):
        load({"CHRONOS_EGRESS_PORTS": text})


def test_files_lie_in_the_data_folder_unless_told_otherwise(load: Load) -> None:
    moved = load({"CHRONOS_DATA_DIR": "/srv/chronos"})
    assert (moved.data_dir, moved.mail_dir) == (Path("/srv/chronos"), Path("/srv/chronos/mail"))
    assert load({}).data_dir == Path("/home/somebody/.chronos")
    assert load({"CHRONOS_MAIL_DIR": "~/mail"}).mail_dir == Path("/home/somebody/mail")


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("API_PORT", 0, 65536),
        ("API_THREADS", 0, 257),
        ("API_WORKERS", 0, 65),
        ("ACCESS_TOKEN_MINUTES", 0, 1441),
        ("REFRESH_TOKEN_DAYS", 0, 366),
        ("LOOKAHEAD_SECONDS", 0.09, 10.1),
        ("DISPATCH_BATCH", 0, 1001),
        ("MAX_QUEUED_SECONDS", 0.09, 60.1),
        ("RETENTION_DAYS", 0, 3651),
        ("WORKER_THREADS", 1, 513),
        ("MAX_TRANSFERS", 0, 20_001),
        ("WORKER_TIMEOUT_SECONDS", 1.9, 301),
        ("SHUTDOWN_GRACE_SECONDS", -1, 3601),
        ("METRICS_PORT", -1, 65536),
    ],
)
def test_a_number_out_of_bounds_is_refused(load: Load, name: str, low: Any, high: Any) -> None:
    for value in (low, high):
        with pytest.raises(SettingsInvalid, match=f"CHRONOS_{name}: "):
            load({f"CHRONOS_{name}": str(value)})


@pytest.mark.parametrize("text", ["5 per minute", "1 / second", "3 per 10 minutes; 100 per day"])
def test_a_rate_that_is_accepted_is_one_that_the_limiter_understands(
    load: Load, text: str
) -> None:
    assert len(parse_many(load({"CHRONOS_RATE_LIMIT": text}).rate_limit)) == text.count(";") + 1


@pytest.mark.parametrize("text", ["", "5", "0 per minute", "5 per", "5 per moon", "5 per hour;"])
def test_a_rate_that_the_limiter_would_not_understand_is_refused(load: Load, text: str) -> None:
    with pytest.raises(SettingsInvalid, match="CHRONOS_LOGIN_RATE_LIMIT: must be like"):
        load({"CHRONOS_LOGIN_RATE_LIMIT": text})


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_a_number_that_is_none_is_refused(load: Load, text: str) -> None:
    with pytest.raises(SettingsInvalid, match="CHRONOS_WORKER_TIMEOUT_SECONDS: "):
        load({"CHRONOS_WORKER_TIMEOUT_SECONDS": text})


def test_secrets_are_not_printed(load: Load) -> None:
    given = {
        "CHRONOS_SECRET_KEY": "secret " * 8,
        "CHRONOS_SMTP_URL": "smtp://chronos:secret@mail.example",
        "CHRONOS_TASKS_BROKER_URL": "amqp://chronos:secret@rabbit.example//",
    }
    printed = repr(load(given))
    assert "api_port=8080" in printed
    assert "secret" not in printed


def test_settings_do_not_change_once_they_are_read(load: Load) -> None:
    with pytest.raises(FrozenInstanceError):
        load({}).api_port = 80  # type: ignore[misc]


def test_a_database_password_may_have_every_character(load: Load) -> None:
    password = "pä ß@:/?#%日本"
    url = f"postgresql://b%C3%BCro:{quote(password, safe='')}@db/chronos"
    made = make_url(load({"CHRONOS_DATABASE_URL": url}).database_url)
    assert (made.username, made.password, made.host) == ("büro", password, "db")
    raw = "postgresql://büro:pä#ß@db/chronos"
    assert make_url(load({"CHRONOS_DATABASE_URL": raw}).database_url).password == "pä#ß"


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("SMTP_URL", "smtp://user:12#x@mail.example.com"),
        ("SMTP_URL", "smtp://user:12/x@mail.example.com"),
        ("SMTP_URL", "smtp://user:12?x@mail.example.com"),
        ("SMTP_URL", "smtp://user:p%E4ss@mail.example.com"),
        ("SMTP_URL", "smtp://user:p%00ss@mail.example.com"),
        ("SMTP_URL", "smtp://user:p\tss@mail.example.com"),
        ("SMTP_URL", "smtp://mail.example.com?startls=1"),
        ("SMTP_URL", "smtp://mail.example.com/box"),
        ("SMTP_URL", "smtp://a..b.example"),
        ("REDIS_URL", "redis://user:12#x@redis.example.com/0"),
        ("REDIS_URL", "redis://user:p%E4ss@redis.example.com/0"),
        ("TASKS_BROKER_URL", "redis.example.com"),
        ("TASKS_BROKER_URL", "amqp://user:p%E4ss@rabbit.example.com//"),
        ("TASKS_BROKER_URL", "amqp://user:12#x@rabbit.example.com//"),
        ("DATABASE_URL", "postgresql://user:p%E4ss@db/chronos"),
        ("DATABASE_URL", "postgresql://user:p@ss@db/chronos"),
        ("MAIL_FROM", "nobody"),
        ("MAIL_FROM", ""),
        ("MAIL_FROM", "Chronos, Inc. <a@example.com>"),
        ("MAIL_FROM", "a@example.com, b@example.com"),
        ("MAIL_FROM", "A <a@example.com> B"),
        ("MAIL_FROM", "A\nBcc: b@example.com <a@example.com>"),
        ("MAIL_FROM", "a@-.example"),
        ("MAIL_FROM", "jörg@example.com"),
    ],
)
def test_what_a_client_would_understand_otherwise_is_refused_at_the_start(
    load: Load, name: str, url: str
) -> None:
    with pytest.raises(SettingsInvalid, match=f"CHRONOS_{name}: "):
        load({f"CHRONOS_{name}": url})


@pytest.mark.parametrize(
    "url",
    [
        "smtp://b%C3%BCro:p%C3%A4%40%2F%3A%23@mail.bücher.example:587?starttls=1",
        "smtp://büro:pä@mail.example.com",
        "smtps://user:100%@[::1]:465",
        "smtp://127.0.0.1:25/",
    ],
)
def test_a_mail_servers_login_and_host_may_be_in_every_script(load: Load, url: str) -> None:
    assert load({"CHRONOS_SMTP_URL": url}).smtp_url == url


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("a@example.com", "", "a@example.com"),
        ("Büro Größe <a@büro.example>", "Büro Größe", "a@xn--bro-hoa.example"),
        ('"Chronos, Inc." <a@example.com>', "Chronos, Inc.", "a@example.com"),
        ("<a@example.com>", "", "a@example.com"),
        ("日本 <a@example.com>", "日本", "a@example.com"),
    ],
)
def test_a_sender_may_have_a_name_in_every_script(
    load: Load, text: str, name: str, address: str
) -> None:
    assert Sender.parse(load({"CHRONOS_MAIL_FROM": text}).mail_from) == (name, address)

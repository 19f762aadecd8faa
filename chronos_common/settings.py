"""Settings: ``CHRONOS_*`` environment variables, read once into frozen, validated objects.

Each is declared once, as a field of :class:`Settings`. The README's table and ``.env.example`` are
held against that. All wrong settings are reported at once. No other module reads settings. A
secret may stand in a file instead, which ``CHRONOS_<NAME>_FILE`` names.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from environs import Env, EnvError, EnvValidationError

from chronos_common import environment as variables
from chronos_common import quotas
from chronos_common import setting_types as types
from chronos_common.errors import SettingsInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this installation of Chronos runs. Units are in the names.

    A declaration has the default, the bounds or a parser, and the help. Secrets are not printed.
    """

    database_url: str = types.text(
        None,
        "PostgreSQL 15 or newer",
        parse=types.database_url,
        is_secret=True,
    )
    redis_url: str = types.text(
        None,
        "Redis 7 or newer, or Valkey",
        parse=types.redis_url,
        is_secret=True,
    )
    data_dir: Path = types.text(
        types.home_folder, "data folder of `chronos up`", parse=types.folder
    )
    # API
    api_host: str = types.text("127.0.0.1", "the address the API listens on")
    api_port: int = types.integer(8080, 1, 65535, "the port the API listens on")
    api_threads: int = types.integer(8, 1, 256, "requests that one API process answers at once")
    api_workers: int = types.integer(
        4, 1, 64, "API processes. 'chronos up' starts one for each processor, 2 to 4"
    )
    public_url: str = types.text(
        "http://127.0.0.1:8080",
        "the API's address in e-mails and documentation",
        parse=types.http_url,
    )
    dashboard: bool = types.flag(
        default=True, help="whether the API serves the dashboard, at /ui/"
    )
    secret_key: str = types.text(
        None,
        "signs access and refresh tokens; at least 32 bytes",
        parse=types.secret_key,
        is_secret=True,
    )
    access_token_minutes: int = types.integer(15, 1, 1440, "lifetime of an access token")
    refresh_token_days: int = types.integer(30, 1, 365, "lifetime of a login that is not used")
    registration_open: bool = types.flag(
        default=types.is_local_api,
        help="whether anyone may create an account. `false` unless the host is loopback",
    )
    require_verified_email: bool = types.flag(
        default=False, help="whether members must verify their e-mail address first"
    )
    trusted_proxies: int = types.integer(
        0,
        0,
        10,
        "reverse proxies that add to `X-Forwarded-For`",
    )
    login_rate_limit: str = types.text(
        "10 per minute", "attempts to log in or register from one address", parse=types.rate
    )
    rate_limit: str = types.text(
        "6000 per minute",
        "requests of one login, of one API key, or of one address without either",
        parse=types.rate,
    )
    user_rate_limit: str = types.text(
        "12000 per minute",
        "requests of one user, over all logins and API keys",
        parse=types.rate,
    )
    workspace_rate_limit: str = types.text(
        "30000 per minute", "requests in one workspace, of all its members", parse=types.rate
    )
    max_request_bytes: int = types.integer(1 << 20, 1024, None, "the largest request body")
    allowed_hosts: tuple[str, ...] = types.text(
        "",
        "further names of the API, like `api,chronos.internal`, or `*`",
        parse=types.hosts,
    )
    cors_origins: tuple[str, ...] = types.text(
        "",
        "origins of browser scripts, like `https://a.example.com`, or `*`",
        parse=types.origins,
    )
    statistics_cache_seconds: int = types.integer(
        15, 0, 300, "cache lifetime of statistics; 0 disables the cache"
    )
    event_streams: int = types.integer(
        32,
        1,
        512,
        "live event streams of one API process, each with its own thread",
    )
    # quotas of each workspace
    quota_jobs: int = types.quota(quotas.JOBS)
    quota_job_bytes: int = types.quota(quotas.JOB_BYTES)
    quota_runs_per_day: int = types.quota(quotas.RUNS_PER_DAY)
    quota_change_bytes: int = types.quota(quotas.CHANGE_BYTES)
    quota_payload_bytes: int = types.quota(quotas.PAYLOAD_BYTES)
    quota_event_streams: int = types.quota(quotas.EVENT_STREAMS)
    quota_user_event_streams: int = types.quota(quotas.USER_EVENT_STREAMS)
    quota_exports: int = types.quota(quotas.EXPORTS)
    quota_user_exports: int = types.quota(quotas.USER_EXPORTS)
    quota_test_runs: int = types.quota(quotas.TEST_RUNS)
    quota_user_test_runs: int = types.quota(quotas.USER_TEST_RUNS)
    quota_invitations: int = types.quota(quotas.INVITATIONS)
    quota_mails: int = types.quota(quotas.MAILS)
    # scheduler
    lookahead_seconds: float = types.number(
        1.5,
        0.1,
        10,
        "how early an occurrence is handed to a worker",
    )
    plan_batch: int = types.integer(1000, 1, 10_000, "schedules that one transaction plans")
    dispatch_batch: int = types.integer(500, 1, 1000, "webhooks that one message carries")
    max_queued_seconds: float = types.number(
        2.0,
        0.1,
        60,
        "age of a waiting message that stops publishing",
    )
    sweep_interval_seconds: float = types.number(
        300, 1, 3600, "interval of the sweep, the safety net"
    )
    retention_days: int = types.integer(30, 1, 3650, "how long history is kept")
    audit_retention_days: int = types.integer(365, 1, 3650, "how long the audit log is kept")
    # worker
    worker_threads: int = types.integer(
        64,
        2,
        512,
        "messages that a worker handles at once",
    )
    max_transfers: int = types.integer(
        1000, 1, 20_000, "webhooks in flight at once, of one worker"
    )
    max_transfers_per_host: int = types.integer(
        250, 1, 20_000, "webhooks in flight to one host and port"
    )
    worker_timeout_seconds: float = types.number(
        15,
        2,
        300,
        "a worker without a heartbeat for this long is lost",
    )
    shutdown_grace_seconds: float = types.number(
        10, 0, 3600, "time for requests under way to end after SIGTERM"
    )
    egress_allow: tuple[types.Network, ...] = types.text(
        "",
        "private networks that jobs may call, like `10.0.0.0/8,fd00::/8`",
        parse=types.networks,
    )
    egress_deny: tuple[types.Network, ...] = types.text(
        "",
        "networks that jobs may not call, public or allowed, like `192.0.2.0/24`",
        parse=types.networks,
    )
    egress_ports: tuple[range, ...] = types.text(
        "80,443,1024-65535",
        "ports that jobs may call, less those of other protocols",
        parse=types.ports,
    )
    smtp_url: str = types.text(
        "",
        "the mail server",
        parse=types.smtp_url,
        is_secret=True,
    )
    email_recipient_domains: tuple[str, ...] = types.text(
        "",
        "domains that e-mails may go to, like `example.com,*.example.org`",
        parse=types.domains,
    )
    mail_from: str = types.text(
        "chronos@localhost.localdomain",
        'sender, like `"Chronos, Inc." <chronos@example.com>`',
        parse=types.sender,
    )
    mail_dir: Path = types.text(
        types.mail_folder,
        "folder for e-mails without a mail server",
        parse=types.folder,
    )
    tasks_broker_url: str = types.text(
        "",
        "broker of the Celery application whose tasks jobs start, not Chronos's own Redis",
        parse=types.broker_urls,
        is_secret=True,
    )
    tasks_allowed: tuple[str, ...] = types.text(
        "",
        "names of the tasks that jobs may start, like `reports.*,mail.send`",
        parse=types.patterns,
    )
    tasks_queues: tuple[str, ...] = types.text(
        "celery",
        "queues that tasks may go to, like `celery,reports-*`",
        parse=types.patterns,
    )
    tasks_queue_length: int = types.integer(
        1000, 1, None, "waiting tasks of a queue at which further ones are tried again later"
    )
    kept_answer_bytes: int = types.integer(
        1 << 30, 0, None, "bytes of answers that a worker keeps for a workspace in a day"
    )
    # observability
    log_level: str = types.choice(
        "info", ["debug", "info", "warning", "error"], "`debug`, `info`, `warning` or `error`"
    )
    log_format: str = types.choice("json", ["json", "console"], "`json`, or `console` for people")
    metrics_host: str = types.text("127.0.0.1", "address for metrics and health of a process")
    metrics_port: int = types.integer(0, 0, 65535, "port for metrics and health; 0 is none")

    @property
    def verifies_email(self) -> bool:
        """Whether an account begins with an e-mail to its address."""
        return bool(self.smtp_url) or self.require_verified_email

    @property
    def worker_timeout(self) -> timedelta:
        """Processes without a heartbeat for so long are lost."""
        return timedelta(seconds=self.worker_timeout_seconds)


#: Every setting, by its name.
DECLARED: Final = {each.name: types.declared(each) for each in fields(Settings)}

_VARIABLES: Final = {name: f"{variables.PREFIX}{name.upper()}" for name in DECLARED}
#: The variables that hold secrets, by those that name a file with the secret.
_FILES: Final = {
    f"{_VARIABLES[each.name]}_FILE": _VARIABLES[each.name]
    for each in fields(Settings)
    if not each.repr
}
_KNOWN: Final = frozenset({*_VARIABLES.values(), *_FILES})

_LONGEST_SECRET: Final = 64 << 10


def load() -> Settings:
    """Read the settings from this process's environment.

    Raises :class:`SettingsInvalid` with one line for each wrong one, and for each variable that
    has no effect: a setting may be missing because its name is misspelt.
    """
    _forget_services()
    unreadable = _open_files()
    env = Env(eager=False)
    values: dict[str, Any] = {}
    for name, setting in DECLARED.items():
        values[name] = setting.read(env, _VARIABLES[name], values)
    try:
        env.seal()
    except EnvError as error:
        raise SettingsInvalid("\n  ".join([_explain(error, unreadable), *remarks()])) from error
    if unreadable:
        raise SettingsInvalid(_report(unreadable))
    if types.is_same_redis(values["tasks_broker_url"], values["redis_url"]):
        raise SettingsInvalid(_SHARED_BROKER)
    return Settings(**values)


def remarks() -> list[str]:
    """Return a sentence for each ``CHRONOS_*`` variable that has no effect."""
    services = [f"{name} describes a Service and is no setting: ignored." for name in _forgotten]
    unknown = variables.unknown(os.environ, _KNOWN)  # noqa: TID251 - this is the place
    return [*services, *(variables.describe(name, _KNOWN) for name in unknown)]


#: The variables of Services that :func:`load` took out of the environment.
_forgotten: list[str] = []


def _forget_services() -> None:
    """Remove the variables of Services from the environment, for child processes too."""
    for name in variables.of_services(os.environ):  # noqa: TID251 - this is the place
        del os.environ[name]  # noqa: TID251 - this is the place
        _forgotten.append(name)


def _open_files() -> dict[str, str]:
    """Replace variables that name files by those with the files' texts, as child processes read.

    Return an error for each that names no usable file, or whose secret is given as well.
    """
    errors = {}
    environ = os.environ  # noqa: TID251 - this is the place
    for file, name in _FILES.items():
        path = environ.get(file)
        if not path:
            continue
        if environ.get(name):
            errors[file] = f"{name} is given too; remove one of them"
            continue
        try:
            environ[name] = types.secret_in(Path(path), longest=_LONGEST_SECRET)
        except ValueError as error:
            errors[file] = str(error)
        else:
            del environ[file]
    return errors


def given(name: str) -> str | None:
    """Return the variable ``CHRONOS_<name>`` as it stands, ``None`` if it is missing.

    Raises :class:`SettingsInvalid` if a secret stands in a file that cannot be read.
    """
    if unreadable := _open_files():
        raise SettingsInvalid(_report(unreadable))
    return os.environ.get(f"{variables.PREFIX}{name}")  # noqa: TID251 - this is the place


def export(values: Mapping[str, str]) -> None:
    """Set ``CHRONOS_*`` variables by their names, for :func:`load` and for child processes."""
    os.environ.update(_prefixed(values))  # noqa: TID251 - this is the place


def export_missing(values: Mapping[str, str]) -> None:
    """Set those ``CHRONOS_*`` variables that are not set."""
    export({name: value for name, value in values.items() if given(name) is None})


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with some ``CHRONOS_*`` variables set, for a child.

    It lacks the variables of :func:`remarks`, so that children do not report them again.
    """
    inherited = dict(os.environ)  # noqa: TID251 - this is the place
    for name in variables.unknown(inherited, _KNOWN):
        del inherited[name]
    return inherited | _prefixed(values)


def replace_environment(environment: Mapping[str, str]) -> None:
    """Make ``environment``, which :func:`environment` made, that of this process."""
    os.environ.clear()  # noqa: TID251 - this is the place
    os.environ.update(environment)  # noqa: TID251 - this is the place


def _prefixed(values: Mapping[str, str]) -> dict[str, str]:
    return {f"{variables.PREFIX}{name}": value for name, value in values.items()}


def _explain(error: EnvError, unreadable: Mapping[str, str]) -> str:
    if not isinstance(error, EnvValidationError) or not isinstance(error.error_messages, dict):
        return str(error)
    # A secret whose file is wrong is not missing.
    of_files = {_FILES[file] for file in unreadable}
    messages = {
        name: " ".join(_MESSAGES.get(text, text) for text in map(str, texts))
        for name, texts in error.error_messages.items()
        if name not in of_files
    }
    return _report(messages | dict(unreadable))


def _report(messages: Mapping[str, str]) -> str:
    lines = [f"  {name}: {message}" for name, message in messages.items()]
    return "\n".join(["The settings are wrong.", *lines])


_SHARED_BROKER = (
    "The settings are wrong.\n  CHRONOS_TASKS_BROKER_URL: names the server of CHRONOS_REDIS_URL, "
    "which tasks could fill until no job runs; use another server"
)

#: Our messages for those of the library, with the remedy.
_MESSAGES = {
    "Environment variable not set.": "missing; it is required: see Settings in the README",
    "Not a valid boolean.": "must be true or false",
    "Not a valid integer.": "must be a whole number",
    "Not a valid number.": "must be a number",
}

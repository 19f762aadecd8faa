"""Settings: ``CHRONOS_*`` environment variables, read once into frozen, validated objects.

Every one stands in the README's table and in ``.env.example``. All wrong ones are reported at
once. What the environment holds besides is told by :func:`remarks`. No other module reads it.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from environs import Env, EnvError, EnvValidationError, ValidationError, validate

from chronos_common import environment as variables
from chronos_common.domain.hosts import ascii_host
from chronos_common.domain.senders import Sender
from chronos_common.errors import SettingsInvalid

MIN_SECRET_BYTES = 32

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this installation of Chronos runs. Units are in the names."""

    database_url: str
    redis_url: str
    data_dir: Path
    # API
    api_host: str
    api_port: int
    api_threads: int
    api_workers: int
    public_url: str
    secret_key: str
    access_token_minutes: int
    refresh_token_days: int
    registration_open: bool
    require_verified_email: bool
    trusted_proxies: int
    login_rate_limit: str
    rate_limit: str
    max_request_bytes: int
    cors_origins: tuple[str, ...]
    statistics_cache_seconds: int
    event_streams: int
    # scheduler
    lookahead_seconds: float
    plan_batch: int
    dispatch_batch: int
    max_queued_seconds: float
    sweep_interval_seconds: float
    retention_days: int
    # worker
    worker_threads: int
    max_transfers: int
    max_transfers_per_host: int
    worker_timeout_seconds: float
    shutdown_grace_seconds: float
    egress_allow: tuple[Network, ...]
    smtp_url: str
    mail_from: str
    mail_dir: Path
    tasks_broker_url: str
    # observability
    log_level: str
    log_format: str
    metrics_host: str
    metrics_port: int


def load() -> Settings:
    """Read the settings from this process's environment.

    Raises :class:`SettingsInvalid` with one line for each wrong one.
    """
    _forget_services()
    env = Env(eager=False, prefix=variables.PREFIX)
    data_dir = _folder(env.str("DATA_DIR", "~/.chronos", validate=_is_folder))
    redis_url = env.str("REDIS_URL", validate=_is_redis_url)
    settings = Settings(
        database_url=_database_url(env.str("DATABASE_URL", validate=_is_database_url)),
        redis_url=redis_url,
        data_dir=data_dir,
        api_host=env.str("API_HOST", "127.0.0.1"),
        api_port=env.int("API_PORT", 8080, validate=validate.Range(1, 65535)),
        api_threads=env.int("API_THREADS", 8, validate=validate.Range(1, 256)),
        api_workers=env.int("API_WORKERS", 4, validate=validate.Range(1, 64)),
        public_url=env.str("PUBLIC_URL", "http://127.0.0.1:8080", validate=_is_http_url),
        secret_key=env.str("SECRET_KEY", validate=_is_long_enough),
        access_token_minutes=env.int("ACCESS_TOKEN_MINUTES", 15, validate=validate.Range(1, 1440)),
        refresh_token_days=env.int("REFRESH_TOKEN_DAYS", 30, validate=validate.Range(1, 365)),
        registration_open=env.bool("REGISTRATION_OPEN", True),
        require_verified_email=env.bool("REQUIRE_VERIFIED_EMAIL", False),
        trusted_proxies=env.int("TRUSTED_PROXIES", 0, validate=validate.Range(0, 10)),
        login_rate_limit=env.str("LOGIN_RATE_LIMIT", "10 per minute", validate=_is_rate),
        rate_limit=env.str("RATE_LIMIT", "6000 per minute", validate=_is_rate),
        max_request_bytes=env.int("MAX_REQUEST_BYTES", 1 << 20, validate=validate.Range(1024)),
        statistics_cache_seconds=env.int(
            "STATISTICS_CACHE_SECONDS", 15, validate=validate.Range(0, 300)
        ),
        event_streams=env.int("EVENT_STREAMS", 32, validate=validate.Range(1, 512)),
        cors_origins=_origins(env.str("CORS_ORIGINS", "", validate=_are_origins)),
        lookahead_seconds=env.float("LOOKAHEAD_SECONDS", 1.5, validate=validate.Range(0.1, 10)),
        plan_batch=env.int("PLAN_BATCH", 1000, validate=validate.Range(1, 10_000)),
        dispatch_batch=env.int("DISPATCH_BATCH", 500, validate=validate.Range(1, 1000)),
        max_queued_seconds=env.float("MAX_QUEUED_SECONDS", 2.0, validate=validate.Range(0.1, 60)),
        sweep_interval_seconds=env.float(
            "SWEEP_INTERVAL_SECONDS", 300, validate=validate.Range(1, 3600)
        ),
        retention_days=env.int("RETENTION_DAYS", 30, validate=validate.Range(1, 3650)),
        worker_threads=env.int("WORKER_THREADS", 64, validate=validate.Range(2, 512)),
        max_transfers=env.int("MAX_TRANSFERS", 1000, validate=validate.Range(1, 20_000)),
        max_transfers_per_host=env.int(
            "MAX_TRANSFERS_PER_HOST", 250, validate=validate.Range(1, 20_000)
        ),
        worker_timeout_seconds=env.float(
            "WORKER_TIMEOUT_SECONDS", 15, validate=validate.Range(2, 300)
        ),
        shutdown_grace_seconds=env.float(
            "SHUTDOWN_GRACE_SECONDS", 10, validate=validate.Range(0, 3600)
        ),
        egress_allow=_networks(env.str("EGRESS_ALLOW", "", validate=_are_networks)),
        smtp_url=env.str("SMTP_URL", "", validate=_is_smtp_url),
        mail_from=env.str("MAIL_FROM", "chronos@localhost.localdomain", validate=_is_sender),
        mail_dir=_folder(env.str("MAIL_DIR", str(data_dir / "mail"), validate=_is_folder)),
        tasks_broker_url=env.str("TASKS_BROKER_URL", "", validate=_are_broker_urls) or redis_url,
        log_level=env.str("LOG_LEVEL", "info", validate=validate.OneOf(_LOG_LEVELS)),
        log_format=env.str("LOG_FORMAT", "json", validate=validate.OneOf(["json", "console"])),
        metrics_host=env.str("METRICS_HOST", "127.0.0.1"),
        metrics_port=env.int("METRICS_PORT", 0, validate=validate.Range(0, 65535)),
    )
    try:
        env.seal()
    except EnvError as error:
        raise SettingsInvalid(_explain(error)) from error
    return settings


def remarks() -> list[str]:
    """Return a sentence for each ``CHRONOS_*`` variable that has no effect."""
    services = [f"{name} describes a Service and is no setting: ignored." for name in _forgotten]
    unknown = variables.unknown(os.environ, _KNOWN)  # noqa: TID251 - this is the place
    return [*services, *(variables.describe(name, _KNOWN) for name in unknown)]


_KNOWN = frozenset(f"{variables.PREFIX}{name.upper()}" for name in Settings.__dataclass_fields__)


#: The variables of Services that :func:`load` took out of the environment.
_forgotten: list[str] = []


def _forget_services() -> None:
    """Take out of the environment whatever describes a Service, for child processes too."""
    for name in variables.of_services(os.environ):  # noqa: TID251 - this is the place
        del os.environ[name]  # noqa: TID251 - this is the place
        _forgotten.append(name)


def given(name: str) -> str | None:
    """Return the variable ``CHRONOS_<name>`` as it stands, ``None`` if it is missing."""
    return os.environ.get(f"{variables.PREFIX}{name}")  # noqa: TID251 - this is the place


def export(values: Mapping[str, str]) -> None:
    """Set ``CHRONOS_*`` variables by their names, for :func:`load` and for child processes."""
    os.environ.update(_prefixed(values))  # noqa: TID251 - this is the place


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with some ``CHRONOS_*`` variables set, for a child.

    It lacks what :func:`remarks` tells, so that not every child tells it again.
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


_RATE = re.compile(r"[1-9]\d* (per|/) ([1-9]\d* )?(second|minute|hour|day|month|year)s?")

_LOG_LEVELS = ["debug", "info", "warning", "error"]


#: As SQLAlchemy reads it, whose loading takes megabytes. libpq takes both names, and hosting
#: services give either.
_DATABASE_URL = re.compile(
    r"""postgres(ql)?(\+\w*)?://
        ([^:/]*(:[^@]*)?@)?           # user and password
        (\[[^/?@]+\]|[^/:?@]*)(:\d+)?  # host and port
        ([/?].*)?                     # database and options""",
    re.VERBOSE | re.DOTALL,
)


def _is_database_url(value: str) -> None:
    _check_encoding(value)
    if not _DATABASE_URL.fullmatch(value):
        raise ValidationError("must be like postgresql://user:password@host:5432/chronos")


def _database_url(value: str | None) -> str:
    """Name the driver: SQLAlchemy 2.1 takes ``postgresql://`` for psycopg 3."""
    return f"postgresql+psycopg2://{(value or '').partition('://')[2]}"


def _is_redis_url(value: str) -> None:
    if not _names_a_host(value, "redis", "rediss"):
        raise ValidationError("must be like redis://:password@host:6379/0")
    _check_login(value)


def _are_broker_urls(value: str) -> None:
    for url in filter(None, value.split(";")):
        if "://" not in url:
            raise ValidationError("must be like redis://:password@host:6379/0 or amqp://host")
        _check_login(url)


_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


def _check_encoding(value: str) -> None:
    """Refuse a URL that its client would understand as another one."""
    try:
        decoded = unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise ValidationError("holds percent-encoded bytes that are not UTF-8") from None
    if _CONTROLS.search(decoded) or "\ufffd" in decoded:
        raise ValidationError("must not contain control characters")


def _check_login(value: str) -> None:
    """Refuse a login whose characters end it early: it would be taken for the host."""
    _check_encoding(value)
    _, _, rest = value.partition("://")
    if "#" in rest or "@" in re.sub("[^/?]*", "", rest, count=1):
        raise ValidationError(
            "percent-encode the user and the password: # as %23, / as %2F, ? as %3F, @ as %40"
        )


def _names_a_host(value: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_folder(value: str) -> None:
    try:
        Path(value).expanduser()
    except RuntimeError as error:
        raise ValidationError("names the home of a user who is not known here") from error


def _folder(value: str | None) -> Path:
    try:
        return Path(value or "").expanduser()
    except RuntimeError:
        # Told by _is_folder, with all that is wrong.
        return Path()


def _is_http_url(value: str) -> None:
    if not _names_a_host(value, "http", "https"):
        raise ValidationError("must be like https://chronos.example.com")


def _are_origins(value: str) -> None:
    for origin in _origins(value):
        is_bare = origin.count("/") == 2  # noqa: PLR2004 - those of "https://"
        if origin != "*" and not (is_bare and _names_a_host(origin, "http", "https")):
            raise ValidationError("must be a list like https://a.example.com, or *")


def _origins(value: str | None) -> tuple[str, ...]:
    return tuple(text.strip() for text in (value or "").split(",") if text.strip())


def _is_rate(value: str) -> None:
    if not all(_RATE.fullmatch(rate.strip()) for rate in value.split(";")):
        raise ValidationError("must be like 10 per minute, or 10 per minute; 100 per hour")


def _is_smtp_url(value: str) -> None:
    if not value:
        return
    if not _names_a_host(value, "smtp", "smtps"):
        raise ValidationError("must be like smtp://user:password@host:587?starttls=1")
    _check_login(value)
    parts = urlsplit(value)
    if parts.path.strip("/") or parse_qs(parts.query, keep_blank_values=True).keys() - {
        "starttls"
    }:
        raise ValidationError("after the host and the port only ?starttls=1 may stand")
    try:
        ascii_host(parts.hostname or "")
    except ValueError as error:
        raise ValidationError(str(error)) from error


def _is_sender(value: str) -> None:
    try:
        Sender.parse(value)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def _is_long_enough(value: str) -> None:
    if len(value.encode()) < MIN_SECRET_BYTES:
        raise ValidationError(
            f"must have at least {MIN_SECRET_BYTES} bytes; make one with "
            "'python -c \"import secrets; print(secrets.token_urlsafe(48))\"'"
        )


def _are_networks(value: str) -> None:
    try:
        _networks(value)
    except ValueError as error:
        raise ValidationError(f"must be a list like 10.0.0.0/8,fd00::/8; {error}") from error


def _networks(value: str | None) -> tuple[Network, ...]:
    return tuple(ip_network(text.strip()) for text in (value or "").split(",") if text.strip())


def _explain(error: EnvError) -> str:
    if not isinstance(error, EnvValidationError) or not isinstance(error.error_messages, dict):
        return str(error)
    lines = [
        f"{name}: {' '.join(_WORDS.get(text, text) for text in map(str, texts))}"
        for name, texts in error.error_messages.items()
    ]
    return "The settings are wrong.\n" + "\n".join(f"  {line}" for line in lines)


#: What the library says, with the remedy.
_WORDS = {
    "Environment variable not set.": "missing; it is required: see Settings in the README",
    "Not a valid boolean.": "must be true or false",
    "Not a valid integer.": "must be a whole number",
    "Not a valid number.": "must be a number",
}

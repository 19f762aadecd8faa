"""Kinds of settings: how each is declared, and how its text is read and checked.

A parser takes the text of a variable, and raises ``ValidationError`` with a remedy if it is wrong.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from environs import Env, ValidationError, validate

from chronos_common.domain.addresses import Sender
from chronos_common.domain.hosts import ascii_host, is_loopback
from chronos_common.quotas import MAX_BOUND, Quota

MIN_SECRET_BYTES = 32

Network = IPv4Network | IPv6Network

#: Ports from 1024 whose servers take a request for commands: of protocols other than HTTP, and of
#: Docker and etcd.
OTHER_PROTOCOLS: Final = frozenset(
    {
        *(1080, 1433, 1434, 1521, 1719, 1720, 1723, 1883, 2049, 2181, 2375, 2376, 2379, 2380),
        *(3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5433, 5671, 5672, 5900, 6000, 6379),
        *(6380, 6432, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 8883, 9042),
        *(9092, 10080, 11211, 16379, 26379, 27017, 27018, 27019),
    }
)
_LAST_PORT: Final = 65535

#: A default may follow from the settings that are declared before.
Default = str | float | bool | Callable[[Mapping[str, Any]], str | bool] | None

_DECLARATION: Final = "chronos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How one setting is read, and its help, which stands in the README's table."""

    kind: Literal["str", "int", "float", "bool"]
    default: Default
    help: str
    check: Callable[[Any], Any] | None = None
    parse: Callable[[str], Any] | None = None

    @property
    def is_required(self) -> bool:
        """Return whether there is no default."""
        return self.default is None

    def read(self, env: Env, name: str, before: Mapping[str, Any]) -> Any:
        """Return the value of the variable ``name``. ``before`` holds the settings read so far.

        ``env`` collects the errors. The value of a wrong variable is None.
        """
        default = self.default(before) if callable(self.default) else self.default
        arguments = (name,) if self.is_required else (name, default)
        value = getattr(env, self.kind)(*arguments, validate=self.check or self.parse)
        return value if value is None or self.parse is None else self.parse(value)


def declared(of_field: Any) -> Setting:
    """Return the declaration of a field of ``Settings``."""
    found: Setting = of_field.metadata[_DECLARATION]
    return found


def _declare(setting: Setting, *, is_secret: bool = False) -> Any:
    return field(metadata={_DECLARATION: setting}, repr=not is_secret)


def text(
    default: Default,
    help: str,  # noqa: A002 - as argparse and click call it
    *,
    parse: Callable[[str], Any] | None = None,
    is_secret: bool = False,
) -> Any:
    """Declare a text. Without a default it is required. A secret is never printed."""
    setting = Setting(kind="str", default=default, help=help, parse=parse)
    return _declare(setting, is_secret=is_secret)


def choice(default: str, allowed: list[str], help: str) -> Any:  # noqa: A002 - as above
    """Declare a setting with a few values."""
    return _declare(Setting(kind="str", default=default, help=help, check=validate.OneOf(allowed)))


def integer(default: int, low: int, high: int | None, help: str) -> Any:  # noqa: A002 - as above
    """Declare a whole number with its bounds."""
    return _declare(
        Setting(kind="int", default=default, help=help, check=validate.Range(low, high))
    )


def quota(of: Quota) -> Any:
    """Declare the bound of a quota."""
    return integer(of.default, 0, MAX_BOUND, of.help)


def number(default: float, low: float, high: float, help: str) -> Any:  # noqa: A002 - as above
    """Declare a number with its bounds."""
    return _declare(
        Setting(kind="float", default=default, help=help, check=validate.Range(low, high))
    )


def flag(*, default: bool | Callable[[Mapping[str, Any]], bool], help: str) -> Any:  # noqa: A002 - as above
    """Declare a setting that is true or false."""
    return _declare(Setting(kind="bool", default=default, help=help))


#: As SQLAlchemy reads it, whose loading takes megabytes. libpq takes both names, and hosting
#: services give either.
_DATABASE_URL = re.compile(
    r"""postgres(ql)?(\+\w*)?://
        ([^:/]*(:[^@]*)?@)?           # user and password
        (\[[^/?@]+\]|[^/:?@]*)(:\d+)?  # host and port
        ([/?].*)?                     # database and options""",
    re.VERBOSE | re.DOTALL,
)


def database_url(value: str) -> str:
    """Return a PostgreSQL URL that names our driver.

    SQLAlchemy 2.1 would load psycopg 3 for ``postgresql://``.
    """
    _check_encoding(value)
    if not _DATABASE_URL.fullmatch(value):
        raise ValidationError("must be like postgresql://user:password@host:5432/chronos")
    return f"postgresql+psycopg2://{value.partition('://')[2]}"


def redis_url(value: str) -> str:
    """Return the URL of a Redis server."""
    if not _names_a_host(value, "redis", "rediss"):
        raise ValidationError("must be like redis://:password@host:6379/0")
    _check_login(value)
    return _checking_certificates(value)


def _checking_certificates(url: str) -> str:
    """Let a URL with TLS check the server's certificate, unless it says otherwise.

    Celery's transport would check none.
    """
    if not url.startswith("rediss://") or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"


def broker_urls(value: str) -> str:
    """Return the URLs of a Celery broker, with semicolons between them."""
    urls = [url for url in value.split(";") if url]
    for url in urls:
        if "://" not in url:
            raise ValidationError("must be like redis://:password@host:6379/0 or amqp://host")
        _check_login(url)
    return ";".join(map(_checking_certificates, urls))


def is_same_redis(broker: str, redis: str) -> bool:
    """Return whether one of a broker's URLs names the server of the Redis URL."""
    return any(_redis_server(each) == _redis_server(redis) for each in broker.split(";") if each)


def _redis_server(url: str) -> tuple[str, int] | None:
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss"}:
        return None
    host = parts.hostname or "localhost"
    return "127.0.0.1" if host in {"localhost", "::1"} else host, parts.port or _REDIS_PORT


def http_url(value: str) -> str:
    """Return the URL of a web server."""
    if not _names_a_host(value, "http", "https"):
        raise ValidationError("must be like https://chronos.example.com")
    return value


def smtp_url(value: str) -> str:
    """Return the URL of a mail server. An empty one stands for none."""
    if not value:
        return value
    if not _names_a_host(value, "smtp", "smtps"):
        raise ValidationError("must be like smtp://user:password@host:587?starttls=1")
    _check_login(value)
    parts = urlsplit(value)
    options = parse_qs(parts.query, keep_blank_values=True).keys()
    if parts.path.strip("/") or options - {"starttls"}:
        raise ValidationError("after the host and the port only ?starttls=1 may stand")
    try:
        ascii_host(parts.hostname or "")
    except ValueError as error:
        raise ValidationError(str(error)) from error
    return value


_REDIS_PORT: Final = 6379

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


def folder(value: str) -> Path:
    """Return the path of a folder, in which ``~`` stands for a home."""
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValidationError("names the home of a user who is not known here") from error


def home_folder(_before: Mapping[str, Any]) -> str:
    """Return ``~/.chronos``, or ``.`` for a user without a home, as in some containers."""
    try:
        return str(Path("~/.chronos").expanduser())
    except RuntimeError:
        return "."


def mail_folder(before: Mapping[str, Any]) -> str:
    """Return the folder ``mail`` in the data folder."""
    return str(Path(before["data_dir"] or "", "mail"))


def is_local_api(before: Mapping[str, Any]) -> bool:
    """Return whether only this machine reaches the API."""
    return is_loopback(before["api_host"] or "")


def origins(value: str) -> tuple[str, ...]:
    """Return the origins of a list with commas."""
    found = tuple(text.strip() for text in value.split(",") if text.strip())
    for origin in found:
        is_bare = origin.count("/") == 2  # noqa: PLR2004 - those of "https://"
        if origin != "*" and not (is_bare and _names_a_host(origin, "http", "https")):
            raise ValidationError("must be a list like https://a.example.com, or *")
    return found


def hosts(value: str) -> tuple[str, ...]:
    """Return the host names of a list with commas, in ASCII."""
    return tuple(_host(text.strip()) for text in value.split(",") if text.strip())


def _host(text: str) -> str:
    if text == "*":
        return text
    try:
        if "/" not in text:
            return ascii_host(text).removesuffix(".")
    except ValueError as error:
        raise ValidationError(str(error)) from error
    raise ValidationError("must be a list of names like api,chronos.example.com, or *")


_RATE = re.compile(r"[1-9]\d* (per|/) ([1-9]\d* )?(second|minute|hour|day|month|year)s?")


def rate(value: str) -> str:
    """Return one or several rates, as the package ``limits`` writes them."""
    if not all(_RATE.fullmatch(each.strip()) for each in value.split(";")):
        raise ValidationError("must be like 10 per minute, or 10 per minute; 100 per hour")
    return value


def sender(value: str) -> str:
    """Return the sender of e-mails, as it was written."""
    try:
        Sender.parse(value)
    except ValueError as error:
        raise ValidationError(str(error)) from error
    return value


def secret_key(value: str) -> str:
    """Return a key that is long enough to sign with."""
    if len(value.encode()) < MIN_SECRET_BYTES:
        raise ValidationError(
            f"must have at least {MIN_SECRET_BYTES} bytes; make one with "
            "'python -c \"import secrets; print(secrets.token_urlsafe(48))\"'"
        )
    return value


def patterns(value: str) -> tuple[str, ...]:
    """Return the patterns of a list with commas, in which ``*`` stands for any characters."""
    return tuple(text.strip() for text in value.split(",") if text.strip())


def secret_in(path: Path, *, longest: int) -> str:
    """Return the text of a file without the line break at its end.

    Raises ``ValueError`` with a remedy if it cannot be read, is empty or has too many bytes.
    """
    try:
        with path.open("rb") as file:
            text = file.read(longest + 1).decode()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8") from None
    except OSError as error:
        reason = f"{path} cannot be read: {error.strerror}"
        raise ValueError(f"{reason}; this process is user {os.geteuid()}") from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or len(text) > longest:
        raise ValueError(f"{path} is {'too long' if text else 'empty'}; it must hold the secret")
    return text


def domains(value: str) -> tuple[str, ...]:
    """Return the domains of a list with commas, in ASCII. ``*.`` stands for all below one."""
    return tuple(_domain(text.strip()) for text in value.split(",") if text.strip())


def _domain(text: str) -> str:
    wildcard = "*." if text.startswith("*.") else ""
    try:
        return wildcard + ascii_host(text.removeprefix("*."))
    except ValueError as error:
        raise ValidationError(f"must be a list like example.com,*.example.org; {error}") from error


def networks(value: str) -> tuple[Network, ...]:
    """Return the networks of a list with commas."""
    try:
        return tuple(ip_network(text.strip()) for text in value.split(",") if text.strip())
    except ValueError as error:
        raise ValidationError(f"must be a list like 10.0.0.0/8,fd00::/8; {error}") from error


_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


def ports(value: str) -> tuple[range, ...]:
    """Return the ports of a list like ``80,443,1024-65535``.

    The ports of other protocols are left out of a range. Each needs an entry of its own.
    """
    found: list[range] = []
    for text in filter(None, map(str.strip, value.split(","))):
        matched = _PORTS.fullmatch(text)
        low = int(matched[1]) if matched else 0
        high = int(matched[2] or low) if matched else 0
        if not 0 < low <= high <= _LAST_PORT:
            raise ValidationError("must be a list like 80,443,1024-65535")
        found += [range(low, low + 1)] if low == high else _without_others(low, high)
    return tuple(found)


def _without_others(low: int, high: int) -> list[range]:
    """Return the parts of a range between the ports of other protocols."""
    ends = sorted(port for port in OTHER_PROTOCOLS if low <= port <= high)
    starts = [low, *(port + 1 for port in ends)]
    return [range(*each) for each in zip(starts, [*ends, high + 1], strict=True) if range(*each)]

"""What each type of job does, parsed from the JSON that its user wrote.

The API checks payloads with these rules before it stores them; workers parse what is stored with
the same ones, so that a payload made invalid behind the API's back fails as that job's failure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from email.errors import MessageError
from email.headerregistry import Address
from typing import Any
from urllib.parse import urlsplit

from chronos_common.domain.queues import reserved_queue
from chronos_common.domain.statuses import JobType
from chronos_common.errors import Invalid

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MAX_URL_LENGTH = 8192
MAX_HEADERS = 64
MAX_HEADER_LENGTH = 8192
MAX_RECIPIENTS = 50
MAX_SUBJECT_LENGTH = 998

#: Set by Chronos or by the connection itself; a user's value would break framing or signing.
RESERVED_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "traceparent",
        "transfer-encoding",
        "upgrade",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
        "x-chronos-attempt",
        "x-chronos-job-id",
        "x-chronos-scheduled-for",
        "x-chronos-test",
    }
)

# RFC 9110, section 5.6.2: the characters of a field name; section 5.5: of a field value.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_UNSAFE_IN_URL = re.compile(r"[\x00-\x20\x7f]")
_TASK_NAME = re.compile(r"[A-Za-z_][\w.\-]{0,254}")
_QUEUE_NAME = re.compile(r"[A-Za-z0-9_][\w.:\-]{0,127}")


@dataclass(frozen=True, slots=True)
class Webhook:
    """An HTTP request. ``body`` is sent as JSON, or as it is when it is a string."""

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    body: Any = None
    success_statuses: Sequence[int] = ()
    follow_redirects: bool = True
    verify_tls: bool = True


@dataclass(frozen=True, slots=True)
class Email:
    """A message to one or more addresses, as text, HTML, or both."""

    to: Sequence[str]
    subject: str
    body: str = ""
    html: str | None = None
    cc: Sequence[str] = ()
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class CeleryTask:
    """A message to a Celery application's own workers."""

    task: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str = "celery"


_WEBHOOK_FIELDS = frozenset(each.name for each in fields(Webhook))

Payload = Webhook | Email | CeleryTask


def parse(
    job_type: JobType, payload: Mapping[str, Any], *, default_url: str | None = None
) -> Payload:
    """Return ``payload`` as what a job of ``job_type`` does.

    A webhook's payload without a ``url`` goes as JSON to ``default_url``, as it is.
    Raises :class:`Invalid` with every wrong field, each named as in ``payload.url``.
    """
    if uses_default(job_type, payload) and default_url is not None:
        return Webhook(url=default_url, body=dict(payload))
    reader = _Reader(payload)
    parsed = _PARSERS[job_type](reader)
    is_for_default = uses_default(job_type, payload) and _WEBHOOK_FIELDS.isdisjoint(payload)
    if not is_for_default:
        reader.refuse_the_rest()
    if reader.errors:
        raise Invalid(reader.errors)
    return parsed


_NO_DEFAULT = (
    "Missing; give it, or set default_webhook_url of the workspace: then that gets the payload "
    "as JSON."
)


def uses_default(job_type: JobType, payload: Mapping[str, Any]) -> bool:
    """Tell whether the workspace's default webhook gets this payload."""
    return job_type is JobType.WEBHOOK and isinstance(payload, Mapping) and "url" not in payload


class _Reader:
    """Takes fields out of a JSON object and collects what is wrong with them."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._left = dict(payload)
        self.errors: dict[str, list[str]] = {}

    def wrong(self, name: str, message: str) -> None:
        self.errors.setdefault(f"payload.{name}", []).append(message)

    def refuse_the_rest(self) -> None:
        for name in self._left:
            self.wrong(name, "Unknown field; remove it.")

    def take(self, name: str, kind: type, default: Any = None, *, required: bool = False) -> Any:
        """Return the field if it is a ``kind``; else note what is wrong and return the default."""
        value = self._left.pop(name, None)
        if value is None:
            if required:
                self.wrong(name, "Missing; it is required.")
            return default
        # In JSON true is not a number, although in Python it is an int.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.wrong(name, f"Must be {_JSON_NAMES[kind]}.")
            return default
        return value

    def take_any(self, name: str) -> Any:
        return self._left.pop(name, None)

    def text(self, name: str, default: str = "", *, required: bool = False) -> str:
        value: str = self.take(name, str, default, required=required)
        if "\x00" in value:
            self.wrong(name, "Must not contain NUL characters.")
        return value

    def addresses(self, name: str, *, required: bool = False) -> Sequence[str]:
        """Return a list of e-mail addresses; a single string is a list of one."""
        value = self._left.get(name)
        if isinstance(value, str):
            self._left[name] = [value]
        addresses: list[Any] = self.take(name, list, [], required=required)
        if required and value is not None and not addresses:
            self.wrong(name, "Give at least one address.")
        if len(addresses) > MAX_RECIPIENTS:
            self.wrong(name, f"At most {MAX_RECIPIENTS} addresses.")
        for address in addresses:
            if not is_email_address(address):
                self.wrong(name, f"{address!r} is not an e-mail address like name@example.com.")
        return addresses


_JSON_NAMES = {str: "a string", int: "an integer", bool: "true or false"} | {
    list: "a list",
    dict: "an object",
}


def is_email_address(value: object) -> bool:
    """Tell whether ``value`` is a plain address (``name@host.tld``) that is safe in a header."""
    if not isinstance(value, str) or len(value) > 254 or not value.isprintable():  # noqa: PLR2004 - RFC 5321, section 4.5.3.1.3
        return False
    try:
        address = Address(addr_spec=value)
    except (MessageError, ValueError, IndexError):
        return False
    return bool(address.username) and "." in address.domain.strip(".") and " " not in value


def _parse_webhook(reader: _Reader) -> Webhook:
    url = reader.text("url")
    fault = _url_fault(url) if url else _NO_DEFAULT
    if fault and "payload.url" not in reader.errors:
        reader.wrong("url", fault)
    method = reader.text("method", "POST").upper()
    if method not in METHODS:
        reader.wrong("method", f"Must be one of {', '.join(METHODS)}.")
    return Webhook(
        url=url,
        method=method,
        headers=_headers(reader),
        params=_params(reader),
        body=reader.take_any("body"),
        success_statuses=_success_statuses(reader),
        follow_redirects=reader.take("follow_redirects", bool, True),  # noqa: FBT003 - a default
        verify_tls=reader.take("verify_tls", bool, True),  # noqa: FBT003 - a default
    )


def _url_fault(url: str) -> str | None:
    """Return what keeps ``url`` from being a webhook's, or None."""
    if len(url) > MAX_URL_LENGTH:
        return f"At most {MAX_URL_LENGTH} characters."
    if _UNSAFE_IN_URL.search(url):
        return "Must not contain spaces or control characters; percent-encode them."
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"Not a URL: {error}."
    if parts.scheme not in {"http", "https"} or not host:
        return "Must be an absolute http:// or https:// URL."
    return None


def _headers(reader: _Reader) -> Mapping[str, str]:
    headers: dict[str, Any] = reader.take("headers", dict, {})
    if len(headers) > MAX_HEADERS:
        reader.wrong("headers", f"At most {MAX_HEADERS} headers.")
    for name, value in headers.items():
        place = f"headers.{name}"
        if not _TOKEN.fullmatch(name):
            reader.wrong(place, "Not a header name (RFC 9110, section 5.1).")
        elif name.lower() in RESERVED_HEADERS:
            reader.wrong(place, "Chronos sets this header itself; remove it.")
        if not isinstance(value, str) or not _FIELD_VALUE.fullmatch(value):
            reader.wrong(place, "Must be a string without line breaks or control characters.")
        elif len(name) + len(value) > MAX_HEADER_LENGTH:
            reader.wrong(place, f"At most {MAX_HEADER_LENGTH} characters.")
    return headers


def _params(reader: _Reader) -> Mapping[str, str | Sequence[str]]:
    params: dict[str, Any] = reader.take("params", dict, {})
    return {name: _param(reader, name, value) for name, value in params.items()}


def _param(reader: _Reader, name: str, value: Any) -> str | Sequence[str]:
    """Return a query parameter as text; numbers and booleans are written as in JSON."""
    if isinstance(value, list):
        return [str(_param(reader, name, item)) for item in value if not isinstance(item, list)]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    reader.wrong(f"params.{name}", "Must be a string, a number, true, false or a list of them.")
    return ""


def _success_statuses(reader: _Reader) -> Sequence[int]:
    statuses: list[Any] = reader.take("success_statuses", list, [])
    for status in statuses:
        if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:  # noqa: PLR2004 - RFC 9110, section 15
            reader.wrong("success_statuses", "Must be a list of status codes from 100 to 599.")
            break
    return statuses


def _parse_email(reader: _Reader) -> Email:
    to = reader.addresses("to", required=True)
    subject = reader.text("subject", required=True)
    if not subject.isprintable():
        reader.wrong("subject", "Must be one line without control characters.")
    if len(subject) > MAX_SUBJECT_LENGTH:
        reader.wrong("subject", f"At most {MAX_SUBJECT_LENGTH} characters.")
    body, html = reader.text("body"), reader.text("html")
    reply_to = reader.text("reply_to")
    if reply_to and not is_email_address(reply_to):
        reader.wrong("reply_to", "Must be an e-mail address like name@example.com.")
    return Email(to, subject, body, html or None, reader.addresses("cc"), reply_to or None)


def _parse_celery_task(reader: _Reader) -> CeleryTask:
    task = reader.text("task", required=True)
    if task and not _TASK_NAME.fullmatch(task):
        reader.wrong("task", "Must be a Celery task's name, like 'reports.tasks.build'.")
    queue = reader.text("queue", "celery")
    if not _QUEUE_NAME.fullmatch(queue):
        reader.wrong("queue", "Must be a queue's name of letters, digits, '_', '-', '.' or ':'.")
    elif reason := reserved_queue(queue):
        reader.wrong("queue", reason)
    return CeleryTask(
        task=task,
        args=reader.take("args", list, []),
        kwargs=reader.take("kwargs", dict, {}),
        queue=queue,
    )


_PARSERS: dict[JobType, Callable[[_Reader], Payload]] = {
    JobType.WEBHOOK: _parse_webhook,
    JobType.EMAIL: _parse_email,
    JobType.CELERY_TASK: _parse_celery_task,
}

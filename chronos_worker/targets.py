"""From a job's payload to the target of its requests, built once and used for each execution."""

import json
from base64 import b64encode
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlencode, urlsplit, urlunsplit
from uuid import UUID

from chronos_common.domain import payloads, redaction, same_json
from chronos_common.domain.executions import JobSpec
from chronos_common.domain.payloads import Webhook
from chronos_common.errors import Invalid
from chronos_worker import signing
from chronos_worker.redirects import origin_of
from chronos_worker.request import Target

_MAX_CACHED: Final = 20_000
_LARGEST_CACHED_BODY: Final = 4 << 10

#: Headers of a user's that say how to read the message, and may go wherever it goes.
_DESCRIPTIVE: Final = frozenset({"accept", "accept-language", "content-type", "user-agent"})
_METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
# What RFC 3986 lets stand in a URL; the percent sign, because escapes are there already.
_STANDS_IN_URL: Final = "!#$%&'()*+,/:;=?@[]~"

_cache: dict[UUID, tuple[JobSpec, Target]] = {}


def target_of(job: JobSpec) -> Target:
    """Return where ``job`` sends its requests.

    Raises :class:`Invalid` if its payload cannot be sent.
    """
    cached = _cache.get(job.id)
    if cached and (cached[0] is job or _is_same(cached[0], job)):
        return cached[1]
    target = _build(job)
    if len(target.body or b"") <= _LARGEST_CACHED_BODY:
        _remember(job, target)
    return target


def _is_same(one: JobSpec, other: JobSpec) -> bool:
    return one == other and same_json.is_same(one.payload, other.payload)


def _remember(job: JobSpec, target: Target) -> None:
    if len(_cache) >= _MAX_CACHED:
        # Among jobs that take turns, the oldest is the next one needed: there is no better choice.
        _cache.clear()
    _cache[job.id] = job, target


def _build(job: JobSpec) -> Target:
    webhook = payloads.parse(job.type, job.payload, default_url=job.default_webhook_url)
    if not isinstance(webhook, Webhook):
        raise Invalid({"type": ["Must be webhook."]})
    try:
        url, credentials = _address(webhook)
        body = _body(webhook)
    except (ValueError, UnicodeError) as error:
        raise Invalid({"payload": [f"Cannot be sent: {error}."]}) from error
    given = {name.lower(): (name, value) for name, value in webhook.headers.items()}
    if credentials:
        given.setdefault("authorization", ("Authorization", credentials))
    public, private = _header_lines(given, webhook, body)
    shown_headers = redaction.headers(dict(given.values()))
    return Target(
        job_id=job.id,
        method=webhook.method,
        url=url,
        origin=origin_of(url),
        headers=public,
        private_headers=private,
        job_line=f"X-Chronos-Job-Id: {job.id}".encode(),
        body=body,
        keys=[
            signing.key_of(secret)
            for secret in (job.signing_secret, job.previous_signing_secret)
            if secret is not None
        ],
        timeout_seconds=job.timeout_seconds,
        verify_tls=webhook.verify_tls,
        follow_redirects=webhook.follow_redirects,
        success_statuses=frozenset(webhook.success_statuses),
        shown={
            "method": webhook.method,
            "url": redaction.url(url),
            "headers": shown_headers,
        },
    )


def _address(webhook: Webhook) -> tuple[str, str | None]:
    """Return the URL in ASCII without user information, and that as an Authorization header."""
    parts = urlsplit(webhook.url)
    userinfo, _, place = parts.netloc.rpartition("@")
    query = "&".join(filter(None, (parts.query, urlencode(webhook.params, doseq=True))))
    host = parts.hostname or ""
    if not host.isascii():
        place = place.replace(host, host.encode("idna").decode())
    url = urlunsplit((parts.scheme, place, parts.path, query, ""))
    credentials = None
    if userinfo:
        name, _, password = userinfo.partition(":")
        pair = unquote_to_bytes(name) + b":" + unquote_to_bytes(password)
        credentials = f"Basic {b64encode(pair).decode()}"
    return quote(url, safe=_STANDS_IN_URL), credentials


def _body(webhook: Webhook) -> bytes | None:
    body = webhook.body
    if webhook.method == "HEAD":
        return None
    if body is None:
        # A length of zero is said, not left out, where a body is expected.
        return b"" if webhook.method in _METHODS_WITH_BODY else None
    if isinstance(body, str):
        return body.encode()
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _header_lines(
    given: dict[str, tuple[str, str]], webhook: Webhook, body: bytes | None
) -> tuple[list[bytes], list[bytes]]:
    """Return the lines for any host, and those for the target's own only."""
    public = [b"Expect:"]
    private: list[bytes] = []
    for lower, (name, value) in given.items():
        line = _line(name, value)
        (public if lower in _DESCRIPTIVE else private).append(line)
    if "content-type" not in given and body is not None:
        public.append(_content_type(webhook.body))
    return public, private


def _content_type(body: object) -> bytes:
    if body is None:
        # libcurl would call an empty body a form.
        return b"Content-Type:"
    if isinstance(body, str):
        return b"Content-Type: text/plain; charset=utf-8"
    return b"Content-Type: application/json"


def _line(name: str, value: str) -> bytes:
    """Return a header as libcurl takes it, to which a colon without a value means removal."""
    value = value.strip()
    return f"{name}: {value}".encode("latin-1") if value else f"{name};".encode("latin-1")

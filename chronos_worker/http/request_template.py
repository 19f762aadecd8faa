"""Building the template of a job's requests from its payload, once for many executions."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from chronos_common.domain import payloads, redaction
from chronos_common.domain.executions import JobSpec
from chronos_common.domain.jobs import is_same_json
from chronos_common.domain.payloads import Webhook
from chronos_common.errors import Invalid
from chronos_worker.http import signing
from chronos_worker.http.redirects import origin_of
from chronos_worker.http.request import RequestTemplate

_MAX_CACHED: Final = 20_000
#: Longer requests are not cached.
LARGEST_SMALL: Final = 4 << 10

#: The history keeps no more of a request's header than this.
_SHOWN_BYTES: Final = 8 << 10

#: A user's headers that describe the message. They also go to the target of a redirect.
_DESCRIPTIVE: Final = frozenset({"accept", "accept-language", "content-type", "user-agent"})

_cache: dict[UUID, tuple[JobSpec, RequestTemplate]] = {}


def template_of(job: JobSpec) -> RequestTemplate:
    """Return the template of a job's requests.

    Raises :class:`Invalid` if its payload cannot be sent.
    """
    cached = _cache.get(job.id)
    if cached and (cached[0] is job or _is_same(cached[0], job)):
        return cached[1]
    template = _build(job)
    if size_of(template) <= LARGEST_SMALL:
        _remember(job, template)
    return template


def size_of(template: RequestTemplate) -> int:
    """Return the bytes of the parts that a user has written."""
    lines = (*template.headers, *template.private_headers)
    return len(template.url) + len(template.body or b"") + sum(map(len, lines))


def _is_same(one: JobSpec, other: JobSpec) -> bool:
    return one == other and is_same_json(one.payload, other.payload)


def _remember(job: JobSpec, template: RequestTemplate) -> None:
    if len(_cache) >= _MAX_CACHED:
        # Jobs take turns, so the oldest entry is the next one needed: no eviction is better.
        _cache.clear()
    _cache[job.id] = job, template


def _build(job: JobSpec) -> RequestTemplate:
    webhook = payloads.parse(job.type, job.payload, default_url=job.default_webhook_url)
    if not isinstance(webhook, Webhook):
        raise Invalid({"type": ["Must be webhook."]})
    public, private = _header_lines(webhook)
    return RequestTemplate(
        job_id=job.id,
        method=webhook.method,
        url=webhook.url,
        origin=origin_of(webhook.url),
        headers=public,
        private_headers=private,
        job_line=f"X-Chronos-Job-Id: {job.id}".encode(),
        body=webhook.body,
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
            "url": redaction.url(webhook.url),
            "headers": _shown(redaction.headers(webhook.headers)),
        },
    )


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the header that the history keeps. A value beyond it ends with "…"."""
    shown, room = {}, _SHOWN_BYTES
    for name, value in headers.items():
        room -= len(name)
        shown[name] = value if len(value) <= room else f"{value[: max(room, 0)]}…"
        room -= len(value)
    return shown


def _header_lines(webhook: Webhook) -> tuple[list[bytes], list[bytes]]:
    """Return the header lines for any host, and those for the origin only."""
    public = [b"Expect:"]
    private: list[bytes] = []
    for name, value in webhook.headers.items():
        (public if name.lower() in _DESCRIPTIVE else private).append(_line(name, value))
    if webhook.body is not None and not any(map(_is_content_type, webhook.headers)):
        # Without this, libcurl would declare an empty body as a form.
        public.append(b"Content-Type:")
    return public, private


def _is_content_type(name: str) -> bool:
    return name.lower() == "content-type"


def _line(name: str, value: str) -> bytes:
    """Return a header in libcurl's format, where a colon without a value means removal."""
    return f"{name}: {value}".encode("latin-1") if value else f"{name};".encode("latin-1")
